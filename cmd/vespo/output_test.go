package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// piped is a real server whose standard output and standard error are pipes. Only the test reads them.
type piped struct {
	cmd      *exec.Cmd
	out, err *bufio.Reader
	ends     []*os.File // read by the test
	client   *remote.Client
}

// startPiped starts a server, and reads its standard error up to the line with its address.
func startPiped(t *testing.T, flags ...string) *piped {
	t.Helper()
	p := &piped{cmd: exec.Command("vespo", append([]string{"serve", "--listen=127.0.0.1:0", "--data", t.TempDir(), "--slots=4"}, flags...)...)}
	var readers [2]*bufio.Reader
	for i, stream := range []*io.Writer{&p.cmd.Stdout, &p.cmd.Stderr} {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		*stream, readers[i] = w, bufio.NewReader(r)
		p.ends = append(p.ends, r)
		defer w.Close()
	}
	p.out, p.err = readers[0], readers[1]
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_, _ = p.cmd.Process.Wait()
		p.close()
	})
	listening := p.await(t, regexp.MustCompile(`^listening on (https?://\S*)`))
	var err error
	p.client, err = remote.NewClient(listening[1], "")
	require.NoError(t, err)
	return p
}

// close closes the reading ends of both pipes.
func (p *piped) close() {
	for _, r := range p.ends {
		_ = r.Close()
	}
}

// await reads standard error until a line matches.
func (p *piped) await(t *testing.T, line *regexp.Regexp) []string {
	t.Helper()
	require.NoError(t, p.ends[1].SetReadDeadline(time.Now().Add(hangTimeout)))
	for {
		text, err := p.err.ReadString('\n')
		require.NoError(t, err)
		if found := line.FindStringSubmatch(text); found != nil {
			return found
		}
	}
}

// request sends n requests. Each results in more than 1 KiB of access record.
func (p *piped) request(t *testing.T, path string, n int) {
	t.Helper()
	target := p.client.Base() + path + "?" + strings.Repeat("x", 1000)
	for range n {
		resp, err := http.Get(target)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
}

func (p *piped) health(t *testing.T) string {
	t.Helper()
	a, err := p.client.Get(t.Context(), "/services/health", url.Values{})
	require.NoError(t, err)
	return strings.TrimSpace(string(a.Body))
}

// terminate sends SIGTERM and requires the server to exit with code 0 in time.
func (p *piped) terminate(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(hangTimeout):
		t.Fatal("the server did not end")
	}
}

// TestClosedOutput checks that a reader that goes away does not stop the services.
func TestClosedOutput(t *testing.T) {
	p := startPiped(t, "--access-log=json")
	for _, name := range []string{"hello", "chatty"} {
		_, err := post(t.Context(), p.client, "/"+name, guests.Wat(t, name))
		require.NoError(t, err)
	}
	p.close()
	p.request(t, "/chatty", 50)
	p.request(t, "/hello", 50)
	require.Contains(t, p.health(t), `"state":"ok"`)
	p.terminate(t)
}

// TestBlockedOutput checks that a pipe without a reader blocks no request. Records
// beyond the bound are dropped, and the count is logged once the pipe is read again.
func TestBlockedOutput(t *testing.T) {
	p := startPiped(t, "--access-log=json")
	for _, name := range []string{"hello", "chatty"} {
		_, err := post(t.Context(), p.client, "/"+name, guests.Wat(t, name))
		require.NoError(t, err)
	}
	p.request(t, "/chatty", 100)
	p.request(t, "/hello?"+strings.Repeat("q", 1900), 5000) // records of 12 MiB
	require.Regexp(t, `"dropped_records":[1-9]`, p.health(t))

	read := make(chan int)
	go func() {
		lines := 0
		for {
			line, err := p.out.ReadString('\n')
			if err != nil {
				read <- lines
				return
			}
			if !strings.HasPrefix(line, `{"time":`) || !strings.HasSuffix(line, "}\n") {
				t.Errorf("%.100q is not a record", line)
			}
			lines++
		}
	}()
	p.await(t, regexp.MustCompile(`level=WARN msg="dropped [0-9,]+ records: standard output took none" dropped=[1-9]`))
	go func() { _, _ = io.Copy(io.Discard, p.err) }() // so that the server can end
	p.terminate(t)
	require.Greater(t, <-read, 500, "what has room is kept")
}

// TestBlockedOutputAtTheEnd checks that SIGTERM ends a
// server while either of its outputs is blocked for good.
func TestBlockedOutputAtTheEnd(t *testing.T) {
	for _, flag := range []string{"--access-log=json", "--access-log=off"} {
		t.Run(flag, func(t *testing.T) {
			p := startPiped(t, flag)
			_, err := post(t.Context(), p.client, "/chatty", guests.Wat(t, "chatty"))
			require.NoError(t, err)
			p.request(t, "/chatty", 500)
			require.Contains(t, p.health(t), `"state":"ok"`)
			p.terminate(t)
		})
	}
}

// startInto starts a server whose standard output and standard error are one file.
func startInto(t *testing.T, file *os.File) *piped {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close()) // the port is most likely free now
	p := &piped{cmd: exec.Command("vespo", "serve", "--listen", addr, "--data", t.TempDir(), "--slots=4", "--access-log=json")}
	p.cmd.Stdout, p.cmd.Stderr = file, file
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	p.client, err = remote.NewClient("http://"+addr, "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := p.client.Get(t.Context(), "/services/ready", url.Values{})
		return err == nil
	}, hangTimeout, 20*time.Millisecond)
	_, err = post(t.Context(), p.client, "/chatty", guests.Wat(t, "chatty"))
	require.NoError(t, err)
	return p
}

// TestFullDisk checks that services keep running when the disk is full. The log and the records are lost.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	p := startInto(t, full)
	p.request(t, "/chatty?"+strings.Repeat("q", 1900), 5000) // records of 12 MiB
	require.Regexp(t, `"dropped_records":[1-9]`, p.health(t))
	p.terminate(t)
}

// TestOutputIsComplete checks that no record is lost or torn
// while a reader keeps up, even if both outputs are one file.
func TestOutputIsComplete(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	defer log.Close()
	p := startInto(t, log)
	p.request(t, "/chatty", 10)
	require.JSONEq(t, `{"state":"ok"}`, p.health(t))
	p.terminate(t)
	text, err := os.ReadFile(log.Name())
	require.NoError(t, err)
	require.Equal(t, 10, strings.Count(string(text), `"uri":"/chatty?`))
	require.Equal(t, 80, strings.Count(string(text), "msg=guest"))
	require.Contains(t, string(text), `msg="draining;`)
	for line := range strings.Lines(string(text)) {
		require.Regexp(t, `^(\{"time".*\}|time=.*|memory ceiling.*|listening on.*|console at.*)\n$`, line)
	}
}

// TestLogRate checks that a service that logs without end gets at
// most --log-rate, and that another service keeps its own share.
func TestLogRate(t *testing.T) {
	p, c := launch(t, t.TempDir(), "--log-rate=1KiB")
	for _, prefix := range []string{"/chatty", "/other"} {
		_, err := post(t.Context(), c, prefix, guests.Wat(t, "chatty"))
		require.NoError(t, err)
	}
	get := func(path string) {
		resp, err := http.Get(c.Base() + path)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	for range 30 {
		get("/chatty")
	}
	get("/other")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	<-p.exited
	count := func(prefix string) int { return strings.Count(p.stderr.String(), "msg=guest service="+prefix+" ") }
	require.GreaterOrEqual(t, count("/chatty"), 12, "a burst of 16 KiB; a line counts with its fields, not its text alone")
	require.Less(t, count("/chatty"), 120)
	require.Equal(t, 8, count("/other"))
}
