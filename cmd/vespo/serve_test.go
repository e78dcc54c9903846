package main

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCeilingLine(t *testing.T) {
	cfg := &Config{Slots: 64, Memory: 16 << 20}
	require.Equal(t, "memory ceiling 1.0 GiB (1073741824 bytes): 64 slots x 16MiB", ceilingLine(cfg, 1<<30))
	require.Equal(t, "memory ceiling 1.0 GiB (1107296256 bytes): 64 slots x 16MiB, and 32 MiB of spare slots", ceilingLine(cfg, 1<<30+32<<20))
}

// started gives what a server says when it has started on a listener at addr.
func started(t *testing.T, cfg *Config, addr string) string {
	t.Helper()
	dirs, err := makeDirs(cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, dirs.close()) }()
	log := slog.New(slog.DiscardHandler)
	p, err := wire(t.Context(), cfg, dirs.data, log, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.close(t.Context())) }()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	require.NoError(t, err)
	var said bytes.Buffer
	s := &server{cfg: cfg, parts: p, dirs: dirs, streams: streams{err: &said}, log: log}
	require.NoError(t, s.start(t.Context(), tcp))
	return said.String()
}

func TestStartSaysWhetherManagementIsOn(t *testing.T) {
	const off = "management is off on "
	config := func(token string) *Config {
		cfg, err := parse(t, "--data", t.TempDir(), "--slots=2", "--memory=1MiB", "--admin-token="+token)
		require.NoError(t, err)
		return cfg
	}
	require.Equal(t, "listening on http://127.0.0.1:8080\n", started(t, config(""), "127.0.0.1:8080"))
	require.Equal(t, "listening on http://[::]:8080\n", started(t, config("secret"), "[::]:8080"))
	for _, addr := range []string{"[::]:8080", "192.0.2.1:80"} {
		said := strings.SplitAfter(started(t, config(""), addr), "\n")
		require.Len(t, said, 3)
		require.Equal(t, off+addr+", as other machines reach it and there is no --admin-token\n", said[0])
		require.Equal(t, "listening on http://"+addr+"\n", said[1])
	}
}

// A demo needs no management; its lines name an address that curl can use.
func TestDemoOnEveryAddress(t *testing.T) {
	cfg, err := parse(t, "--demo", "--slots=2", "--memory=512KiB", "--admin-token=")
	require.NoError(t, err)
	said := started(t, cfg, "0.0.0.0:8080")
	require.Contains(t, said, "  curl http://127.0.0.1:8080/hello\n")
	require.NotContains(t, said, "curl http://0.0.0.0")
}

func TestDirs(t *testing.T) {
	d, err := makeDirs(&Config{})
	require.NoError(t, err)
	require.Equal(t, &dirs{data: defaultData}, d)
	require.NoError(t, d.close())

	d, err = makeDirs(&Config{Data: "mine", Demo: true})
	require.NoError(t, err)
	require.Equal(t, "mine", d.data)
	require.DirExists(t, d.temp)
	require.NoError(t, d.close())
	require.NoDirExists(t, d.temp)

	d, err = makeDirs(&Config{Demo: true})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(d.temp, "data"), d.data)
	require.NoError(t, d.close())

	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	_, err = makeDirs(&Config{Demo: true})
	require.ErrorContains(t, err, "temporary directory")
}

func TestReachable(t *testing.T) {
	for given, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1:80", "0.0.0.0:80": "127.0.0.1:80", "[::]:80": "127.0.0.1:80", "[::1]:80": "[::1]:80", "192.0.2.1:80": "192.0.2.1:80",
	} {
		addr, err := net.ResolveTCPAddr("tcp", given)
		require.NoError(t, err)
		require.Equal(t, want, reachable(addr))
	}
}

// deadlines is a ResponseWriter that keeps the deadlines that were set.
type deadlines struct {
	http.ResponseWriter
	read, write time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }

func TestDeadlines(t *testing.T) {
	for _, tt := range []struct {
		name string
		body string
		stop bool
	}{{name: "without a body"}, {name: "with a body", body: "x"}, {name: "aborted", body: "x", stop: true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				w := &deadlines{ResponseWriter: httptest.NewRecorder()}
				h := withDeadlines(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					require.Zero(t, w.write, "a handler may take its time")
					time.Sleep(time.Hour)
					if tt.stop {
						panic(http.ErrAbortHandler)
					}
				}))
				r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body))
				if tt.stop {
					require.PanicsWithValue(t, http.ErrAbortHandler, func() { h.ServeHTTP(w, r) })
				} else {
					h.ServeHTTP(w, r)
				}
				if tt.body == "" {
					require.Zero(t, w.read)
				} else {
					require.Equal(t, begin.Add(bodyTimeout), w.read)
				}
				require.Equal(t, begin.Add(time.Hour+answerTimeout), w.write)
			})
		})
	}
}
