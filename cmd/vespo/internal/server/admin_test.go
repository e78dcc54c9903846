package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
	"github.com/vespo-dev/vespo/router/accesslog"
)

func TestAdminDefault(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8080":  "127.0.0.1:9080",
		"localhost:8080":  "localhost:9080",
		":8080":           "127.0.0.1:9080",
		"0.0.0.0:8080":    "127.0.0.1:9080",
		"[::]:8080":       "127.0.0.1:9080",
		"[::1]:8080":      "[::1]:9080",
		"127.0.0.2:80":    "127.0.0.2:1080",
		"192.0.2.1:80":    "127.0.0.1:1080",
		"127.0.0.1:0":     "127.0.0.1:0",
		"127.0.0.1:65535": "127.0.0.1:0",
		"127.0.0.1:http":  "127.0.0.1:1080",
	} {
		require.Equal(t, want, adminDefault(listen), listen)
	}
}

func TestAdminListenIsChecked(t *testing.T) {
	for _, ok := range [][]string{
		{"--admin-listen=127.0.0.1:0"},
		{"--admin-listen=[::1]:1"},
		{"--admin-listen=localhost:1"},
		{"--admin-listen=off"},
		{"--admin-listen=:1", "--admin-token=" + strings.Repeat("x", 16)},
	} {
		_, err := parse(t, ok...)
		require.NoError(t, err, ok)
	}
	for _, bad := range []string{"8081", "on", ":1", "0.0.0.0:1", "192.0.2.1:1", "host.example:1"} {
		_, err := parse(t, "--admin-listen="+bad)
		require.ErrorContains(t, err, "--admin-listen is ", bad)
	}
	t.Setenv("VESPO_ADMIN_LISTEN", "off")
	cfg, err := parse(t)
	require.NoError(t, err)
	require.Equal(t, adminOff, cfg.AdminListen)
}

// withConsole starts a server, and returns its output once it serves, and a function that stops it.
func withConsole(t *testing.T, log io.Writer, flags ...string) (string, func() error) {
	t.Helper()
	cfg, err := parse(t, append(flags, "--slots=2", "--memory=1MiB", "--data="+t.TempDir())...)
	require.NoError(t, err)
	said := linestest.New()
	ctx, cancel := context.WithCancel(t.Context())
	s := openedServer(t, ctx, cfg, said)
	s.log = slog.New(slog.NewTextHandler(log, nil))
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }() // received by the function returned
	require.True(t, said.Await(ctx, func(text string) bool { return strings.Contains(text, "listening on http://") }))
	return said.String(), func() error { cancel(); return <-ended }
}

// consoleIn returns the address of the console in an output.
func consoleIn(t *testing.T, said string) string {
	t.Helper()
	_, rest, found := strings.Cut(said, "console at ")
	require.True(t, found, said)
	url, _, _ := strings.Cut(rest, "\n")
	return url
}

func TestConsoleIsServed(t *testing.T) {
	said, stop := withConsole(t, io.Discard, "--listen=127.0.0.1:0")
	url := consoleIn(t, said)
	r, err := http.Get(url)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, http.StatusOK, r.StatusCode)
	_, public, _ := strings.Cut(said, "listening on ")
	r, err = http.Get(strings.TrimSpace(public) + "/services/ui/") // follows the redirect
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, url, r.Request.URL.String())
	require.NoError(t, stop())

	said, stop = withConsole(t, io.Discard, "--listen=127.0.0.1:0", "--admin-listen=off")
	require.NotContains(t, said, "console at")
	require.NoError(t, stop())
}

// TestURLOfService checks that a deploy over the admin listener is answered with the URL on the public listener.
func TestURLOfService(t *testing.T) {
	said, stop := withConsole(t, io.Discard, "--listen=127.0.0.1:0")
	admin := strings.TrimSuffix(consoleIn(t, said), "/services/ui/")
	_, public, _ := strings.Cut(strings.TrimSpace(said), "listening on ")
	for base, want := range map[string]string{admin: public + "/there", public: ""} {
		r, err := http.Post(base+"/services/add", "application/json", strings.NewReader(`{"prefix":"there","redirect":"/elsewhere"}`))
		require.NoError(t, err)
		var answer struct{ URL string }
		require.NoError(t, json.NewDecoder(r.Body).Decode(&answer))
		require.NoError(t, r.Body.Close())
		require.Equal(t, want, answer.URL)
	}
	noRedirects := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := noRedirects.Get(public + "/there")
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, "/elsewhere", r.Header.Get("Location"))
	require.NoError(t, stop())
}

// TestPortOfConsoleIsTaken checks that a usual port is replaced, and that one which the user names is not.
func TestPortOfConsoleIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	cfg, err := parse(t, "--listen=127.0.0.1:0", "--admin-listen="+taken.Addr().String(), "--slots=2", "--memory=1MiB", "--data="+t.TempDir())
	require.NoError(t, err)
	err = openedServer(t, t.Context(), cfg, io.Discard).run(t.Context())
	require.ErrorContains(t, err, "is in use")
	require.ErrorContains(t, err, "--admin-listen")

	var said, log bytes.Buffer
	cfg.AdminListen = ""
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	n, err := net.LookupPort("tcp", port)
	require.NoError(t, err)
	cfg.Listen = (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n - adminOffset}).String() // only the text counts here
	s := openedServer(t, t.Context(), cfg, &said)
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	f, err := s.listenAdmin(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, taken.Addr().String(), f.listener.Addr().String())
	require.Contains(t, log.String(), "the console takes a free port")
	require.Contains(t, said.String(), "console at http://"+f.listener.Addr().String()+"/services/ui/\n")
}

func TestReadsOfConsoleAreNotRecorded(t *testing.T) {
	require.Nil(t, notable(nil))
	var got []string
	listen := notable(func(rec *accesslog.Record) { got = append(got, rec.URI) })
	for _, rec := range []accesslog.Record{
		{Method: "GET", Status: 200, URI: "read"},
		{Method: "HEAD", Status: 304, URI: "read"},
		{Method: "GET", Status: 403, URI: "refused"},
		{Method: "POST", Status: 200, URI: "change"},
		{Method: "GET", Status: 503, URI: "failed"},
	} {
		listen(&rec)
	}
	require.Equal(t, []string{"refused", "change", "failed"}, got)
}

// A profile that is being taken ends with the server, and is whole.
func TestAProfileDelaysNoStop(t *testing.T) {
	said, stop := withConsole(t, io.Discard, "--listen=127.0.0.1:0")
	url := strings.TrimSuffix(consoleIn(t, said), "/services/ui/")
	status := func(path string) int {
		resp, err := http.Get(url + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		return resp.StatusCode
	}
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for status("/debug/pprof/profile?seconds=60") != http.StatusOK { // the other one was being taken
		}
	}()
	for status("/debug/pprof/heap") == http.StatusOK {
	}
	require.NoError(t, stop(), "nothing was cut off at the end of the drain")
	<-taken
}
