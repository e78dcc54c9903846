package live

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
)

// stream opens a stream of events and returns a function that waits for the next one.
func stream(t *testing.T, url string) (next func() (event, error)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	in := bufio.NewReader(resp.Body)
	return func() (e event, err error) {
		line, err := in.ReadString('\n')
		if err != nil {
			return e, err
		}
		data, ok := strings.CutPrefix(line, "data: ")
		require.True(t, ok, line)
		require.NoError(t, json.Unmarshal([]byte(data), &e))
		_, err = in.ReadString('\n')
		return e, err
	}
}

func TestEventsAreAboutBuilds(t *testing.T) {
	l, s := serving(t, Config{}, http.NotFound)
	next := stream(t, s.URL+Root+"events")
	seen := make(map[string]bool)
	for _, step := range []struct {
		do       func()
		building bool
		fresh    bool // the results are others
	}{
		{func() {}, true, true},
		{func() { l.Board.Serve(Version{}) }, false, true},
		{func() { l.Board.Begin() }, true, false},
		{func() { l.Board.Fail(Failure{}) }, false, true},
		{func() { l.Board.Begin() }, true, false},
		{func() { l.Board.Serve(Version{}) }, false, true},
	} {
		step.do()
		e, err := next()
		require.NoError(t, err)
		require.Equal(t, step.building, e.Building > 0)
		require.Equal(t, step.fresh, !seen[e.Results])
		require.Zero(t, e.Entries)
		seen[e.Results] = true
	}
}

func TestEventsAreAboutRequestsOnDemand(t *testing.T) {
	l, s := serving(t, Config{}, http.NotFound)
	next := stream(t, s.URL+Root+"events?requests")
	e, err := next()
	require.NoError(t, err)
	require.Zero(t, e.Entries)
	for range 3 {
		l.Feed.Listen(&accesslog.Record{})
	}
	for e.Entries < 3 { // one event is about several requests
		e, err = next()
		require.NoError(t, err)
	}
}

// A client uses a connection again after the header that answers HEAD.
func TestHeadOfAStreamEnds(t *testing.T) {
	_, s := serving(t, Config{}, http.NotFound)
	transport := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	for range 2 {
		resp, err := client.Head(s.URL + Root + "events")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	}
}

// A server that stops does not wait for streams.
func TestStreamsEndWithTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	l := New(Config{Prefix: "/", Closing: ctx})
	ended := make(chan struct{})
	s := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
		close(ended)
	}))
	next := stream(t, s.URL+Root+"events")
	_, err := next()
	require.NoError(t, err)
	cancel()
	<-ended
}
