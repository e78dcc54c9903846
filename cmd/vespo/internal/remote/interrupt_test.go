package remote

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/services/schema"
)

// fileProject is a project whose module is a small file.
type fileProject struct{}

func (fileProject) Prefix() (string, error) { return "hello", nil }

func (fileProject) Service() map[string]any { return nil }

func (fileProject) Build(_ context.Context, out string, _ io.Writer) error {
	return os.WriteFile(out, []byte("a module"), 0o600)
}

// TestInterruptedDeploy checks that a signal during the upload leaves no module in the directory for temporary files.
func TestInterruptedDeploy(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot interrupt itself")
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	self, err := os.FindProcess(os.Getpid())
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Content-Type") == "application/json" {
			return // the question before the build
		}
		if self.Signal(os.Interrupt) == nil {
			<-r.Context().Done()
		}
	}))
	t.Cleanup(server.Close)
	c := NewAddCmd(schema.Kinds{}, func(string) (Project, error) { return fileProject{}, nil })
	c.Server, c.dir, c.Module = server.URL, ".", "."
	err = c.Run(t.Context(), stdio.Streams{Out: io.Discard, Err: io.Discard}, &kong.Context{})
	require.EqualError(t, err, `interrupt signal received; the server may have deployed /hello all the same: "vespo inspect" shows it`)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}
