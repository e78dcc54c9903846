package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// newKVHost returns a host of its own catalogue, which is not started.
func newKVHost(t testing.TB) *host {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	h := &host{t: t, url: "http://" + address, client: new(http.Client)}
	h.args = []string{"vespo", "serve", "--no-config-file", "--listen", address, "--admin-listen", "off", "--worker-listen", "127.0.0.1:0",
		"--data", filepath.Join(t.TempDir(), "data"), "--slots", "4", "--log", "text", "--log-level", "debug"}
	t.Cleanup(h.kill)
	return h
}

// startWith starts a host with an engine for key-value stores.
func (h *host) startWith(engine string) {
	h.t.Helper()
	args := h.args
	h.args = append(slices.Clone(args), "--kv", engine)
	h.start()
	h.args = args
}

// vespo runs a command of the program.
func (h *host) vespo(input string, args ...string) (string, error) {
	self, err := os.Executable()
	require.NoError(h.t, err)
	cmd := &exec.Cmd{Path: self, Args: append(append([]string{"vespo"}, args...), "--server", h.url), Stdin: strings.NewReader(input)}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// put puts a note by the guest.
func (h *host) put(path, text string) int {
	r, err := http.NewRequest(http.MethodPut, h.url+path, strings.NewReader(text))
	require.NoError(h.t, err)
	resp, err := h.client.Do(r)
	require.NoError(h.t, err)
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestKeyValueStores lets a guest use a store on two hosts, by each engine, and copies it from one engine to the other.
func TestKeyValueStores(t *testing.T) {
	t.Parallel()
	module := guests.SDK(t, "key-value")
	engines := []string{
		"redis://" + enginetest.StartRedis(t).Address,
		"postgres://postgres@" + enginetest.StartPostgres(t).Address + "/postgres?pool=4",
	}
	exported := ""
	a, b := newKVHost(t), newKVHost(t)
	for _, engine := range engines {
		for _, h := range []*host{a, b} {
			h.startWith(engine)
			if exported == "" {
				status, answer := h.post("/services/add", url.Values{"prefix": {"n"}, "kv": {"notes"}}, module)
				require.Equal(t, http.StatusCreated, status, answer)
			}
		}
		if exported != "" {
			require.Empty(t, a.body("/n/notes/x"))
			out, err := b.vespo(exported, "kv", "import", "notes")
			require.NoError(t, err, out)
			require.Equal(t, "text", a.body("/n/notes/x"), "it comes from the other engine")
		}
		require.Equal(t, http.StatusNoContent, a.put("/n/notes/x", "text"))
		require.Equal(t, "text", b.body("/n/notes/x"))
		b.kill()
		b.startWith(engine)
		require.Equal(t, "text", b.body("/n/notes/x"))
		out, err := b.vespo("", "kv", "list")
		require.NoError(t, err, out)
		require.Contains(t, out, "notes")
		b.eventually(func() bool { return strings.Contains(b.body("/services/metrics"), "\nvespo_kv_keys 1\n") })
		exported, err = a.vespo("", "kv", "export", "notes")
		require.NoError(t, err, exported)
		require.Contains(t, exported, `{"key":"note/x","value":"text"`)
		a.kill()
		b.kill()
	}
}

// TestKeyValueSecrets refuses passwords in URLs, and does not show what it refuses.
func TestKeyValueSecrets(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for engine, says := range map[string]string{
		"redis://me:secret@127.0.0.1":   "VESPO_KV_PASSWORD",
		"postgres://me:secret@host/db":  "VESPO_KV_PASSWORD",
		"mysql://secret@127.0.0.1":      "must begin with one of redis://, rediss://, postgres://, postgresql://",
		"redis://127.0.0.1?durable=yes": "the options are",
	} {
		var out bytes.Buffer
		cmd := &exec.Cmd{
			Path:   self,
			Args:   []string{"vespo", "serve", "--no-config-file", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--kv", engine, "--log-level", "debug"},
			Stdout: &out,
			Stderr: &out,
		}
		require.Error(t, cmd.Run())
		require.Contains(t, out.String(), says)
		require.NotContains(t, out.String(), "secret")
	}
}
