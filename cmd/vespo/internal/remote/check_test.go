package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/services/schema"
)

var errBuilt = errors.New("the build was begun")

// unbuilt is a project whose build fails.
type unbuilt struct{ fileProject }

func (unbuilt) Build(context.Context, string, io.Writer) error { return errBuilt }

// TestCheckBeforeTheBuild checks that a refusal comes before the build, and that a server of an earlier version, which knows
// no such question, is no reason to refuse.
func TestCheckBeforeTheBuild(t *testing.T) {
	for answer, want := range map[string]string{
		`{"title":"t","detail":"d","violations":["memory is 1"],"fields":["memory"]}`:                            "/hello: d\n  - memory is 1",
		`{"title":"t","detail":"d","violations":["check is unknown","memory is 1"],"fields":["check","memory"]}`: errBuilt.Error(),
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, answer)
		}))
		defer server.Close()
		c := NewAddCmd(schema.Kinds{}, func(string) (Project, error) { return unbuilt{}, nil })
		c.Server, c.dir, c.Module = server.URL, ".", "."
		require.EqualError(t, c.Run(t.Context(), stdio.Streams{Out: io.Discard, Err: io.Discard}, &kong.Context{}), want)
	}
}

// TestCheckOfASilentServer checks that a server which is silent before the build is known to have changed nothing.
func TestCheckOfASilentServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer server.Close()
	c := NewAddCmd(schema.Kinds{}, func(string) (Project, error) { return unbuilt{}, nil })
	c.Server, c.dir, c.Module, c.Silence = server.URL, ".", ".", 100*time.Millisecond
	err := c.Run(t.Context(), stdio.Streams{Out: io.Discard, Err: io.Discard}, &kong.Context{})
	require.ErrorContains(t, err, " did not answer in 100ms; nothing was changed\ncheck that it is")
}
