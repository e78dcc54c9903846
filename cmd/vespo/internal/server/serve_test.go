package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

func TestCeilingLine(t *testing.T) {
	cfg := &Config{Slots: 64, Memory: 16 << 20}
	require.Equal(t, "memory ceiling 1.0 GiB (1073741824 bytes): 64 slots x 16MiB", ceilingLine(cfg, 1<<30))
	require.Equal(t, "memory ceiling 1.0 GiB (1124073472 bytes): 64 slots x 16MiB, and 48 MiB of spare slots", ceilingLine(cfg, 1<<30+48<<20))
}

// openedServer returns an opened server whose output goes to w. Its run takes the same context.
func openedServer(t *testing.T, ctx context.Context, cfg *Config, w io.Writer) *server {
	t.Helper()
	s := newServer(ctx, cfg, stdio.Streams{Err: w}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { require.NoError(t, s.close()) })
	require.NoError(t, s.open(ctx))
	return s
}

// started returns the output of a server that has started on a listener at addr.
func started(t *testing.T, cfg *Config, addr string) string {
	t.Helper()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	require.NoError(t, err)
	var said bytes.Buffer
	s := openedServer(t, t.Context(), cfg, &said)
	require.NoError(t, s.start(t.Context(), tcp))
	require.NoError(t, s.close())
	return said.String()
}

// TestSharedCode starts a server without services on the compiled code of another one. The code stays.
func TestSharedCode(t *testing.T) {
	code := t.TempDir()
	kept := func(args ...string) []string {
		cfg, err := parse(t, append(args, "--slots=2", "--memory=1MiB")...)
		require.NoError(t, err)
		cfg.SharedCode = code
		started(t, cfg, "127.0.0.1:8080")
		files, err := filepath.Glob(filepath.Join(code, "code", "*"))
		require.NoError(t, err)
		return files
	}
	demo := kept("--demo")
	require.NotEmpty(t, demo)
	require.Equal(t, demo, kept("--data="+t.TempDir()))
}

// TestDrainIsBounded checks that a request that does not
// end is cut off at the end of the drain, with an error.
func TestDrainIsBounded(t *testing.T) { onBoth(t, testDrainIsBounded) }

func testDrainIsBounded(t *testing.T, fastLane string) {
	cfg, err := parse(t, fastLane, "--demo", "--listen=127.0.0.1:0", "--slots=2", "--memory=1MiB", "--timeout=1h")
	require.NoError(t, err)
	said := linestest.New()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := openedServer(t, ctx, cfg, said)
	s.drainTimeout = time.Millisecond
	ended := make(chan error)
	go func() { ended <- s.run(ctx) }()
	var address string
	require.True(t, said.Await(ctx, func(text string) bool {
		_, rest, found := strings.Cut(text, "listening on http://")
		address, _, _ = strings.Cut(rest, "\n")
		return found
	}))
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	cancel()
	require.ErrorContains(t, <-ended, "requests were cut off")
	_, err = io.Copy(io.Discard, conn)
	require.NoError(t, err, "the connection is closed")
}

// TestListenerFailure checks that a failing listener ends the server.
func TestListenerFailure(t *testing.T) {
	cfg, err := parse(t, "--listen=192.0.2.1:0", "--data", t.TempDir(), "--slots=2", "--memory=1MiB") // RFC 5737: not an address of this machine
	require.NoError(t, err)
	require.ErrorContains(t, openedServer(t, t.Context(), cfg, io.Discard).run(t.Context()), "cannot listen on 192.0.2.1:0")
}

func TestStartSaysWhetherManagementIsOn(t *testing.T) {
	const off = "management is off on "
	config := func(token string) *Config {
		cfg, err := parse(t, "--data", t.TempDir(), "--slots=2", "--memory=1MiB")
		require.NoError(t, err)
		cfg.AdminToken = token
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

// TestDemoOnEveryAddress checks that the demo works while management
// is off, and that it prints an address which curl can use.
func TestDemoOnEveryAddress(t *testing.T) {
	cfg, err := parse(t, "--demo", "--slots=2", "--memory=512KiB")
	require.NoError(t, err)
	said := started(t, cfg, "0.0.0.0:8080")
	require.Contains(t, said, "  curl http://127.0.0.1:8080/hello\n")
	require.NotContains(t, said, "curl http://0.0.0.0")
}

func TestDirs(t *testing.T) {
	open := func(cfg *Config) (*dirs, *parts.List) {
		list := parts.New(t.Context())
		d, err := openDirs(t.Context(), list, cfg)
		require.NoError(t, err)
		return d, list
	}
	d, list := open(&Config{})
	require.Equal(t, &dirs{data: defaultData}, d)
	require.NoError(t, list.Close(time.Minute))

	d, list = open(&Config{Data: "mine", Demo: true})
	require.Equal(t, "mine", d.data)
	require.DirExists(t, d.temp)
	require.NoError(t, list.Close(time.Minute))
	require.NoDirExists(t, d.temp)

	d, list = open(&Config{Demo: true})
	require.Equal(t, filepath.Join(d.temp, "data"), d.data)
	require.NoError(t, list.Close(time.Minute))

	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	_, err := openDirs(t.Context(), parts.New(t.Context()), &Config{Demo: true})
	require.ErrorContains(t, err, "temporary directory")
}

func TestReachable(t *testing.T) {
	for given, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1:80", "0.0.0.0:80": "127.0.0.1:80", "[::]:80": "127.0.0.1:80", "[::1]:80": "[::1]:80", "192.0.2.1:80": "192.0.2.1:80",
	} {
		addr, err := net.ResolveTCPAddr("tcp", given)
		require.NoError(t, err)
		require.Equal(t, want, Reachable(addr))
	}
}
