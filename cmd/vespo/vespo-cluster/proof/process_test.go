package proof

import (
	"bytes"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds what a test waits for.
const patience = 90 * time.Second

// process is a program that can be stopped, killed and started again.
type process struct {
	t    *testing.T
	name string
	path string
	args []string
	env  []string
	ran  func(pid int) // is called after each start

	cmd   *exec.Cmd
	ended chan struct{}
	log   *tail
}

// tail is the end of the output of a process, over all its starts.
type tail struct {
	mu    sync.Mutex
	text  []byte // guarded by mu
	start int    // guarded by mu: of the output since the last start
}

const tailBytes = 64 << 10

func (b *tail) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	if more := len(b.text) - tailBytes; more > tailBytes {
		b.text = bytes.Clone(b.text[more:])
		b.start = max(0, b.start-more)
	}
	return len(p), nil
}

// mark begins the output of another start.
func (b *tail) mark(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, "--- "+text+"\n"...)
	b.start = len(b.text)
}

// since returns the output since the last start.
func (b *tail) since() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text[b.start:])
}

func (b *tail) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

// run starts the process. It does not wait.
func (p *process) run() {
	p.t.Helper()
	if p.log == nil {
		p.log = new(tail)
	}
	p.log.mark(p.path)
	p.cmd = &exec.Cmd{Path: p.path, Args: append([]string{p.path}, p.args...), Env: append(os.Environ(), p.env...), Stdout: p.log, Stderr: p.log}
	require.NoError(p.t, p.cmd.Start())
	ended, cmd := make(chan struct{}), p.cmd
	p.ended = ended
	go func() {
		_ = cmd.Wait() // killed
		close(ended)
	}()
	p.ran(cmd.Process.Pid)
}

// kill ends the process without warning.
func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
		p.cmd = nil
	}
}

// terminate asks the process to end, and waits until it has.
func (p *process) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.Fail(p.t, "the process did not end", "%s: %s", p.name, p.log)
	}
	p.cmd = nil
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// eventually waits for a condition.
func (p *process) eventually(what string, done func() bool) {
	p.t.Helper()
	ended := func() bool {
		select {
		case <-p.ended:
			return true
		default:
			return false
		}
	}
	happened := false
	within(patience, func() bool {
		happened = done()
		return happened || ended()
	})
	if !happened {
		require.Fail(p.t, "it did not happen: "+what, "%s: %s", p.name, p.log)
	}
}

// within reports whether a condition comes true within a time.
func within(d time.Duration, done func() bool) bool {
	deadline := time.Now().Add(d)
	for !done() {
		if time.Now().After(deadline) {
			return false
		}
		<-time.After(10 * time.Millisecond)
	}
	return true
}
