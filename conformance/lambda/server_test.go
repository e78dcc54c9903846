package lambda

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hangTimeout is after how long a test is given up that waits for what does not come.
const hangTimeout = 30 * time.Second

// programs are the commands that the tests run, built once.
type programs struct{ vespo, worker string }

// built is set by TestMain.
var built programs

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "vespo-conformance-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		built = programs{vespo: filepath.Join(dir, "vespo"), worker: filepath.Join(dir, "bootstrap")}
		for _, b := range []struct{ in, out, what string }{{"../..", built.vespo, "./cmd/vespo"}, {".", built.worker, "./worker"}} {
			cmd := exec.Command("go", "build", "-o", b.out, b.what)
			cmd.Dir = b.in
			if out, err := cmd.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n%s", cmd, err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// process is a program that runs, with the lines that it has printed.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	// done is closed when the process has ended and all its output is read.
	done chan struct{}

	mu    sync.Mutex
	come  *sync.Cond
	lines []string // guarded by mu
	over  bool     // guarded by mu
}

// start runs a program until the end of the test.
func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.come = sync.NewCond(&p.mu)
	p.cmd.Env = env
	from, to, err := os.Pipe()
	require.NoError(t, err)
	p.cmd.Stdout, p.cmd.Stderr = to, to
	require.NoError(t, p.cmd.Start())
	require.NoError(t, to.Close())
	go p.read(from)
	t.Cleanup(func() { p.stop(syscall.SIGKILL) })
	return p
}

func (p *process) read(from *os.File) {
	defer close(p.done)
	defer from.Close()
	for in := bufio.NewScanner(from); in.Scan(); {
		p.mu.Lock()
		p.lines = append(p.lines, in.Text())
		p.mu.Unlock()
		p.come.Broadcast()
	}
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.come.Broadcast()
	_ = p.cmd.Wait()
}

// stop sends a signal and waits for the end.
func (p *process) stop(s os.Signal) {
	_ = p.cmd.Process.Signal(s) // it may have ended
	<-p.done
}

// line waits for a line that matches, and gives the first group.
func (p *process) line(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	p.mu.Lock()
	defer p.mu.Unlock()
	for seen := 0; ; {
		for ; seen < len(p.lines); seen++ {
			if m := re.FindStringSubmatch(p.lines[seen]); m != nil {
				return m[len(m)-1]
			}
		}
		require.False(p.t, p.over, "ended without a line like %s:\n%s", pattern, strings.Join(p.lines, "\n"))
		p.come.Wait()
	}
}

// server is a running vespo.
type server struct {
	*process
	url string
}

func serve(t *testing.T, args ...string) *server {
	t.Helper()
	p := start(t, os.Environ(), built.vespo, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()}, args...)...)
	return &server{process: p, url: p.line(`^listening on (http://\S+)$`)}
}

// vespo runs a command against the server, and gives what it prints.
func (s *server) vespo(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(built.vespo, args...)
	cmd.Env = append(os.Environ(), "VESPO_SERVER="+s.url)
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	return string(out)
}

// addFunction adds a function, and gives the address of its Runtime API.
func (s *server) addFunction(prefix string, args ...string) string {
	s.t.Helper()
	out := s.vespo(append([]string{"add", prefix, "--function"}, args...)...)
	m := regexp.MustCompile(`AWS_LAMBDA_RUNTIME_API=(\S+),`).FindStringSubmatch(out)
	require.NotNil(s.t, m, out)
	return m[1]
}

// work starts a worker that has nothing but the address in its environment.
func work(t *testing.T, addr string, env ...string) *process {
	t.Helper()
	return start(t, append([]string{"AWS_LAMBDA_RUNTIME_API=" + addr}, env...), built.worker)
}

type answer struct {
	*http.Response
	body string
}

func (s *server) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader([]byte(body)))
	require.NoError(s.t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := (&http.Client{Timeout: hangTimeout}).Do(r)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return answer{resp, string(text)}
}
