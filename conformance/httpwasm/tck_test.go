package httpwasm

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/http-wasm/http-wasm-host-go/tck"
	"github.com/stretchr/testify/require"
)

// hangTimeout is the time limit of a request.
const hangTimeout = 30 * time.Second

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	vespo := filepath.Join(dir, "vespo")
	build := exec.Command("go", "build", "-o", vespo, "./cmd/vespo")
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	guest := filepath.Join(dir, "tck.wasm")
	require.NoError(t, os.WriteFile(guest, tck.GuestWASM, 0o600))
	backend := tck.StartBackend("")
	t.Cleanup(backend.Close)

	url := serve(t, vespo, filepath.Join(dir, "data"))
	add := exec.Command(vespo, "add", "/", "--upstream", backend.URL, "--use", guest)
	add.Env = append(os.Environ(), "VESPO_SERVER="+url)
	out, err = add.CombinedOutput()
	require.NoError(t, err, "%s", out)

	t.Run("HTTP/1.1", func(t *testing.T) { run(t, url, func(p *http.Protocols) { p.SetHTTP1(true) }) })
	t.Run("h2c", func(t *testing.T) { run(t, url, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }) })
}

// run runs the kit with a client for one protocol.
func run(t *testing.T, url string, set func(*http.Protocols)) {
	var protocols http.Protocols
	set(&protocols)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	tck.Run(t, &http.Client{Transport: transport, Timeout: hangTimeout}, url)
}

// serve runs a server until the end of the test, and returns its address.
func serve(t *testing.T, vespo, data string) string {
	t.Helper()
	cmd := exec.Command(vespo, "serve", "--listen", "127.0.0.1:0", "--data", data)
	from, to, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = to, to
	require.NoError(t, cmd.Start())
	require.NoError(t, to.Close())
	lines := bufio.NewScanner(from)
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL) // it may have exited
		<-done
		_ = cmd.Wait()
		_ = from.Close()
	})
	url := ""
	for url == "" && lines.Scan() {
		url, _ = strings.CutPrefix(lines.Text(), "listening on ")
		if !strings.HasPrefix(url, "http") {
			url = ""
		}
	}
	go func() {
		defer close(done)
		for lines.Scan() { // drain the pipe, or the server would block
		}
	}()
	require.NotEmpty(t, url)
	return url
}
