package prack

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
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
		built = programs{vespo: filepath.Join(dir, "vespo"), worker: filepath.Join(dir, "worker")}
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
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and all its output is read

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
	p.cmd.Env = append(os.Environ(), env...)
	from, to, err := os.Pipe()
	require.NoError(t, err)
	p.cmd.Stdout, p.cmd.Stderr = to, to
	require.NoError(t, p.cmd.Start())
	require.NoError(t, to.Close())
	go p.read(from)
	t.Cleanup(p.kill)
	return p
}

func (p *process) read(from *os.File) {
	defer close(p.done)
	defer from.Close()
	for in := bufio.NewScanner(from); in.Scan(); {
		p.note(in.Text(), false)
	}
	_ = p.cmd.Wait()
	p.note("", true)
}

func (p *process) note(line string, over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines, p.over = append(p.lines, line), over
	p.come.Broadcast()
}

// kill ends the process, as kill -9 does, and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// line waits for a line that matches, and gives the last group.
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

// server is a running vespo with a queue, which is the default.
type server struct {
	*process
	url     string
	workers string // where workers find requests, as Prack's do: without a name
}

// serve starts a server with the flags, and adds the queue with its own.
func serve(t *testing.T, flags []string, queueFlags ...string) *server {
	t.Helper()
	p := start(t, nil, built.vespo, append([]string{"serve", "--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0", "--data", t.TempDir()}, flags...)...)
	s := &server{process: p, url: p.line(`^listening on (http://\S+)$`)}
	cmd := exec.Command(built.vespo, append([]string{"add", "jobs", "--queue", "--default", "--server", s.url}, queueFlags...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	m := regexp.MustCompile(`workers at (http://[^/]+)/`).FindStringSubmatch(string(out))
	require.NotNil(t, m, "%s", out)
	s.workers = strings.Replace(m[1], "127.0.0.1", "localhost", 1) + "/api/v1/request" // the name that Prack's clients use
	return s
}

// awaitWaiting waits until so many requests are in the queue.
func (s *server) awaitWaiting(n int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		_, _, text := s.ask(http.DefaultClient, "GET", "/services/inspect?prefix=jobs", "")
		return strings.Contains(text, fmt.Sprintf(`"waiting":%d,`, n))
	}, hangTimeout, 10*time.Millisecond)
}

// work starts a worker and waits until it works.
func (s *server) work(name string, args ...string) *process {
	s.t.Helper()
	p := start(s.t, []string{"PRACK_URL=" + s.workers}, name, args...)
	p.line("^working$")
	return p
}

// ask makes a request; the status is 0 if there was no answer.
func (s *server) ask(client *http.Client, method, path, body string) (status int, header http.Header, text string) {
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err.Error()
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return resp.StatusCode, resp.Header, string(read)
}
