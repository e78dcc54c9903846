package remote

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// writes calls a function for each write.
type writes func(text string)

func (w writes) Write(p []byte) (int, error) {
	w(string(p))
	return len(p), nil
}

// TestFollowingAnEmptyLog checks that a stream which ends before its first entry is begun anew, as others are.
func TestFollowingAnEmptyLog(t *testing.T) {
	var streams atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		if streams.Add(1) == 1 {
			return
		}
		_, _ = io.WriteString(w, "id: 1\ndata: {\"level\":\"INFO\",\"text\":\"an entry\"}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := LogsCmd{Follow: true}
	c.Server = server.URL
	var shown string
	out := writes(func(text string) {
		shown = text
		stop()
	})
	require.NoError(t, c.Run(ctx, stdio.Streams{Out: out, Err: io.Discard}))
	require.Contains(t, shown, "an entry")
	require.EqualValues(t, 2, streams.Load())

	server.Close()
	require.ErrorContains(t, c.Run(t.Context(), stdio.Streams{Out: out, Err: io.Discard}), "no server was reached")
}
