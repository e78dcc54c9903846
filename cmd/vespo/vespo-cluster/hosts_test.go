package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// patience bounds what a test waits for.
const patience = 2 * time.Minute

// TestMain is the program itself, if it is started under its name. Compilers are. Tests use object stores with these keys.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "vespo" {
		main()
		return
	}
	_, _ = os.Setenv("AWS_ACCESS_KEY_ID", "key"), os.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	os.Exit(m.Run())
}

// host is a server of the catalogue. Its directory and address stay.
type host struct {
	t       testing.TB
	url     string
	args    []string
	program *exec.Cmd
	ended   chan struct{}
	log     *tail
	client  *http.Client
}

// tail is the output of a process.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (b *tail) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *tail) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// newHost returns a host of a store, which is not started.
func newHost(t testing.TB, store string) *host {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	client := &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	h := &host{t: t, url: "http://" + address, client: client}
	h.args = []string{"vespo", "serve", "--no-config-file", "--listen", address, "--admin-listen", "off", "--worker-listen", "127.0.0.1:0",
		"--data", filepath.Join(t.TempDir(), "data"), "--slots", "4", "--store", store, "--peer-listen", "127.0.0.1:0", "--log", "text"}
	t.Cleanup(h.kill)
	return h
}

// start starts the process and waits until it serves.
func (h *host) start() { h.startWithin(patience) }

// startWithin is start with a bound.
func (h *host) startWithin(d time.Duration) {
	h.t.Helper()
	self, err := os.Executable()
	require.NoError(h.t, err)
	h.log = new(tail)
	h.program = &exec.Cmd{Path: self, Args: h.args, Stdout: h.log, Stderr: h.log}
	require.NoError(h.t, h.program.Start())
	ended, program := make(chan struct{}), h.program
	h.ended = ended
	go func() {
		_ = program.Wait() // killed
		close(ended)
	}()
	if !within(d, func() bool { return strings.Contains(h.log.String(), "listening on ") }) {
		require.Fail(h.t, "it does not listen", "%s", h.log)
	}
}

// kill ends the process without warning.
func (h *host) kill() {
	if h.program != nil {
		_ = h.program.Process.Kill()
		<-h.ended
		h.program = nil
	}
}

// stop stops the process for a time.
func (h *host) pause(d time.Duration) {
	require.NoError(h.t, h.program.Process.Signal(syscall.SIGSTOP))
	<-time.After(d)
	require.NoError(h.t, h.program.Process.Signal(syscall.SIGCONT))
}

// eventually waits for a condition.
func (h *host) eventually(done func() bool) {
	h.t.Helper()
	if !within(patience, done) {
		require.Fail(h.t, "it did not happen", "%s", h.log)
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

// post sends a change, and returns the status and the body of the answer; 0 if there is none.
func (h *host) post(path string, query url.Values, body []byte) (status int, answer string) {
	r, err := http.NewRequest(http.MethodPost, h.url+path+"?"+query.Encode(), bytes.NewReader(body))
	require.NoError(h.t, err)
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/wasm")
	}
	resp, err := h.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// redirect deploys a redirect to a path, which identifies the deploy.
func (h *host) redirect(prefix, to string) (status int, answer string) {
	return h.post("/services/add", url.Values{"prefix": {prefix}, "redirect": {"https://example.com" + to}}, nil)
}

// seen returns where a prefix redirects to; empty: nowhere, or no answer.
func (h *host) seen(prefix string) string {
	resp, err := h.client.Get(h.url + prefix)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	return strings.TrimPrefix(resp.Header.Get("Location"), "https://example.com")
}

// body returns the body of an answer of 200; empty for any other.
func (h *host) body(path string) string {
	resp, err := h.client.Get(h.url + path)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func guest(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "guests", "wat", name+".wasm"))
	require.NoError(t, err)
	return text
}

// hostsOf starts hosts of one catalogue.
func hostsOf(t *testing.T, store string, n int) (all []*host) {
	t.Helper()
	for range n {
		h := newHost(t, store)
		h.start()
		all = append(all, h)
	}
	return all
}

// TestHosts deploys on any host of three and sees the services on all, also on one that was away, while etcd is down, and
// on one that joins later.
func TestHosts(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	all := hostsOf(t, server.URL("hosts"), 2)
	status, answer := all[0].post("/services/add", url.Values{"prefix": {"hello"}}, guest(t, "hello"))
	require.Equal(t, http.StatusCreated, status, answer)
	all[1].eventually(func() bool { return all[1].body("/hello") == "hello from vespo" })

	third := newHost(t, server.URL("hosts"))
	third.start()
	require.Equal(t, "hello from vespo", third.body("/hello"), "it fetches the module before it says that it listens")
	all = append(all, third)
	all[0].eventually(func() bool {
		answer := all[0].body("/services/hosts")
		return strings.Count(answer, `"lag":0`) == 3 && strings.Contains(answer, `"generation":1,"hosts"`)
	})

	all[1].kill()
	all[0].kill() // it had the module first
	status, answer = third.redirect("/a", "/1")
	require.Equal(t, http.StatusCreated, status, answer)
	all[1].start()
	all[1].eventually(func() bool { return all[1].seen("/a") == "/1" })

	server.Kill(t)
	status, answer = third.redirect("/a", "/2")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, answer, "etcd://"+server.Address+"/hosts")
	require.Contains(t, answer, "nothing was changed")
	require.Equal(t, "/1", third.seen("/a"))
	third.kill()
	third.start()
	require.Equal(t, "/1", third.seen("/a"), "it starts from its copy")
	require.Equal(t, "hello from vespo", third.body("/hello"))

	server.Run(t)
	all[1].eventually(func() bool { status, _ := all[1].redirect("/a", "/3"); return status == http.StatusOK })
	third.eventually(func() bool { return third.seen("/a") == "/3" })
	all[0].start()
	all[0].eventually(func() bool { return all[0].seen("/a") == "/3" })
	require.Equal(t, "hello from vespo", all[0].body("/hello"))
}

// TestLabels shows the labels of a host on another one.
func TestLabels(t *testing.T) {
	server := etcdtest.Start(t)
	a, b := newHost(t, server.URL("labels")), newHost(t, server.URL("labels"))
	a.args = append(a.args, "--label", "zone=a,gpu", "--label", "disk")
	a.start()
	b.start()
	out, err := b.vespo("", "hosts")
	require.NoError(t, err, out)
	require.Regexp(t, `(?m)zone=a, gpu, disk$`, out)
}

var generationPattern = regexp.MustCompile(`"generation": ?(\d+)`)

// TestConcurrentDeploys deploys the same service on two hosts at the same time: each that is acknowledged has a generation
// of its own, and both hosts end with the last.
func TestConcurrentDeploys(t *testing.T) {
	server := etcdtest.Start(t)
	all := hostsOf(t, server.URL("concurrent"), 2)
	var mu sync.Mutex
	acknowledged := make(map[int]string) // by generation
	var running sync.WaitGroup
	for i, h := range all {
		running.Go(func() {
			for n := range 15 {
				to := fmt.Sprintf("/%d/%d", i, n)
				status, answer := h.redirect("/a", to)
				found := generationPattern.FindStringSubmatch(answer)
				if status/100 != 2 || found == nil {
					if status != http.StatusConflict {
						t.Errorf("%d: %s", status, answer)
					}
					continue
				}
				generation, err := strconv.Atoi(found[1])
				assert.NoError(t, err)
				mu.Lock()
				if other := acknowledged[generation]; other != "" {
					t.Errorf("generation %d is that of %s and of %s", generation, other, to)
				}
				acknowledged[generation] = to
				mu.Unlock()
			}
		})
	}
	running.Wait()
	require.NotEmpty(t, acknowledged)
	last := acknowledged[slices.Max(slices.Collect(maps.Keys(acknowledged)))]
	for _, h := range all {
		h.eventually(func() bool { return h.seen("/a") == last })
	}
	require.GreaterOrEqual(t, len(acknowledged), 15)
}
