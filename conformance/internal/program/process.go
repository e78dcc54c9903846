package program

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// HangTimeout is the time after which a test stops waiting.
const HangTimeout = 30 * time.Second

// Process is a running program and its output lines, standard output and error together.
type Process struct {
	T    *testing.T    // immutable, like all but lines and over
	Done chan struct{} // closed once the process has ended and its output is read
	cmd  *exec.Cmd

	mu    sync.Mutex
	come  *sync.Cond
	lines []string // guarded by mu
	over  bool     // guarded by mu
}

// Start starts a program with exactly the environment env. It is killed at the end of the test.
func Start(t *testing.T, env []string, name string, args ...string) *Process {
	t.Helper()
	p := &Process{T: t, cmd: exec.Command(name, args...), Done: make(chan struct{})}
	p.come = sync.NewCond(&p.mu)
	p.cmd.Env = env
	from, to, err := os.Pipe()
	require.NoError(t, err)
	p.cmd.Stdout, p.cmd.Stderr = to, to
	require.NoError(t, p.cmd.Start())
	require.NoError(t, to.Close())
	go p.read(from)
	t.Cleanup(p.Kill)
	return p
}

func (p *Process) read(from *os.File) {
	defer close(p.Done)
	defer from.Close()
	for in := bufio.NewScanner(from); in.Scan(); {
		p.mu.Lock()
		p.lines = append(p.lines, in.Text())
		p.mu.Unlock()
		p.come.Broadcast()
	}
	_ = p.cmd.Wait() // tests check the output, not the exit code
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.come.Broadcast()
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop sends a signal and waits for the process to exit.
func (p *Process) Stop(s os.Signal) {
	_ = p.cmd.Process.Signal(s) // an error means that it has exited
	<-p.Done
}

// Kill sends SIGKILL and waits for the process to exit.
func (p *Process) Kill() { p.Stop(syscall.SIGKILL) }

// Line waits for a line that matches pattern, and returns the last group of the match. The
// test fails if the process exits without one.
func (p *Process) Line(pattern string) string {
	p.T.Helper()
	re := regexp.MustCompile(pattern)
	p.mu.Lock()
	defer p.mu.Unlock()
	for seen := 0; ; {
		for ; seen < len(p.lines); seen++ {
			if m := re.FindStringSubmatch(p.lines[seen]); m != nil {
				return m[len(m)-1]
			}
		}
		require.False(p.T, p.over, "ended without a line like %s:\n%s", pattern, strings.Join(p.lines, "\n"))
		p.come.Wait()
	}
}
