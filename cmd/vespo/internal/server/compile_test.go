package server

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestMain compiles a module where a server under test starts its own program for that.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == CompileCommand {
		os.Exit(compiler.Serve(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// add adds a module at a prefix.
func add(ctx context.Context, c *remote.Client, prefix string, module []byte) error {
	_, err := c.Call(ctx, http.MethodPost, "/services/add", url.Values{"prefix": {prefix}}, remote.Upload{
		Body:        bytes.NewReader(module),
		SizeBytes:   int64(len(module)),
		ContentType: "application/wasm",
	})
	return err
}

var compiling = regexp.MustCompile(`(?m)msg="compiling a module".* pid=([0-9]+)`)

// TestCompilingEndsWithTheSignal checks that a stopping
// server aborts its compilations and informs the client.
func TestCompilingEndsWithTheSignal(t *testing.T) {
	cfg, err := parse(t, "--data="+t.TempDir(), "--listen=127.0.0.1:0", "--slots=2")
	require.NoError(t, err)
	said := linestest.New()
	log := slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newServer(ctx, cfg, stdio.Streams{Err: said}, log)
	require.NoError(t, s.open(ctx))
	stopped := make(chan error)
	go func() { stopped <- s.run(ctx) }()
	listening := regexp.MustCompile(`(?m)^listening on (http://.*)\n`)
	require.True(t, said.Await(ctx, listening.MatchString))
	c, err := remote.NewClient(listening.FindStringSubmatch(said.String())[1], "")
	require.NoError(t, err)
	ended := make(chan error)
	go func() {
		ended <- add(t.Context(), c, "/long", guests.Long(t, "hello", 1500, 1000))
	}()
	require.True(t, said.Await(ctx, compiling.MatchString))
	cancel()
	require.ErrorContains(t, <-ended, "shutting down")
	require.NoError(t, <-stopped)
	require.False(t, runs(compiling.FindStringSubmatch(said.String())[1]))
	require.NotContains(t, said.String(), "compiled a module", "it was not done before")
}

// runs reports whether a process runs. A zombie, which its parent has not waited for yet, does not.
func runs(pid string) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}
