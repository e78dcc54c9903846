package components

import (
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startTimeout is how long jco may take to translate a component to JavaScript.
const startTimeout = 2 * time.Minute

// serveByJco runs a component with jco's server and returns its URL. It and its children are killed at the end of the test.
func serveByJco(t *testing.T, jco, component string, options ...string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close()) // jco does not say which port it takes if it may choose
	host, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	cmd := exec.Command(jco, append([]string{"serve", component, "--host", host, "--port", port}, options...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // an error means that all have exited
		_ = cmd.Wait()                                      // killed
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", l.Addr().String())
		return err == nil && c.Close() == nil
	}, startTimeout, 100*time.Millisecond, "jco's server does not listen")
	return "http://" + l.Addr().String()
}
