// Package enginetest runs the engines of key-value stores as processes, for tests, and a proxy that cuts connections to
// them. Tests are skipped on machines without an engine.
package enginetest

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startTime is the time that a process has until it answers.
const startTime = time.Minute

// errNotReady is the error of an engine that runs, but does not serve.
var errNotReady = errors.New("it does not serve")

// process is a server that can be killed and started again.
type process struct {
	command func() *exec.Cmd
	cmd     *exec.Cmd
	output  *bytes.Buffer
}

func (p *process) run(t testing.TB) {
	t.Helper()
	p.output = new(bytes.Buffer)
	p.cmd = p.command()
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	require.NoError(t, p.cmd.Start())
}

// kill ends the process without warning.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // killed
	p.cmd = nil
}

// await calls try until it succeeds.
func (p *process) await(t testing.TB, try func() error) {
	t.Helper()
	end := time.Now().Add(startTime)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			p.kill()
			require.NoError(t, err, p.output.String())
		}
		<-time.After(5 * time.Millisecond)
	}
}

// freePort returns an address of this machine that was free.
func freePort(t testing.TB) (host, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	host, port, err = net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return host, port
}

// signal sends a signal to the process.
func (p *process) signal(t testing.TB, s os.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(s))
}
