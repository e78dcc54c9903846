package live

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/heaptest"
	"github.com/vespo-dev/vespo/router/accesslog"
)

func startServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestFeedPutsLogLinesToTheirRequests(t *testing.T) {
	f := NewFeed()
	var out bytes.Buffer
	log := slog.New(f.LogHandler(slog.NewTextHandler(&out, nil), slog.LevelWarn))
	guest := log.With(slog.String("service", "/"))
	guest.Info("guest", "line", "before", accesslog.FieldRequestID, "1")
	guest.With(accesslog.FieldRequestID, "2").Info("guest", "line", "of another")
	guest.Debug("guest", "line", "not logged")
	log.Info("of the server itself")
	f.Listen(&accesslog.Record{RequestID: "1", Method: "GET", URI: "/\x1b[2J", Status: 500, Result: accesslog.Result{Err: errors.New("trap\nstack")}})
	log.Warn(accesslog.MessageFailed, accesslog.FieldRequestID, "1", "err", errors.New("trap"))
	log.Warn("after it", accesslog.FieldRequestID, "1", "err", errors.New("no\n\tstack\x1b"))
	log.Warn("of no request")

	entries := f.Entries()
	require.Len(t, entries, 2)
	require.Nil(t, entries[0].Request)
	require.Equal(t, []LogLine{{slog.LevelWarn, "of no request"}}, entries[0].Log)
	require.Equal(t, "/\ufffd[2J", entries[1].Request.URI)
	require.True(t, entries[1].Request.Failed())
	require.Equal(t, "trap", entries[1].Request.Err)
	require.Equal(t, []LogLine{{slog.LevelInfo, "before"}, {slog.LevelWarn, "after it: no\n\tstack\ufffd"}}, entries[1].Log)
	require.NotContains(t, out.String(), "of the server itself")
	require.Contains(t, out.String(), "msg=guest line=before")

	f.Listen(&accesslog.Record{RequestID: "2"})
	require.Equal(t, []LogLine{{slog.LevelInfo, "of another"}}, f.Entries()[0].Log)
}

// TestEntriesHoldNoMoreThanTheyShow adds texts that are parts of larger ones, as those of requests are.
func TestEntriesHoldNoMoreThanTheyShow(t *testing.T) {
	f := NewFeed()
	before := heaptest.InUse()
	for range maxEntries {
		err := errors.New("trap\n" + strings.Repeat("x", heaptest.Large))
		f.Listen(&accesslog.Record{RequestID: heaptest.Part("1"), Method: heaptest.Part("GET"), URI: heaptest.Part("/"), Result: accesslog.Result{Err: err}})
	}
	require.Less(t, heaptest.InUse(), before+maxEntries*heaptest.Large/4)
	require.Equal(t, "trap", f.Entries()[0].Request.Err)
}

func TestFeedIsBounded(t *testing.T) {
	f := NewFeed()
	log := slog.New(f.LogHandler(slog.NewTextHandler(io.Discard, nil), slog.LevelInfo))
	long := strings.Repeat("x", 8*maxTextBytes)
	for range 2 * maxLogLines {
		log.Info(long, accesslog.FieldRequestID, "one")
	}
	for n := range 2 * maxEntries {
		log.Info(long, accesslog.FieldRequestID, fmt.Sprint(n)) // requests that never end
		f.Listen(&accesslog.Record{URI: long})
	}
	f.Listen(&accesslog.Record{RequestID: "one"})
	entries := f.Entries()
	require.Len(t, entries, maxEntries)
	require.Len(t, entries[0].Log, maxLogLines)
	require.Less(t, len(entries[0].Log[0].Text), 2*maxTextBytes)
	require.Less(t, len(entries[1].Request.URI), 2*maxTextBytes)
	require.LessOrEqual(t, len(f.early), maxEntries)
	last, _ := f.Last()
	require.Equal(t, last, entries[0].Number)
}

func TestFeedUnderLoad(t *testing.T) {
	f := NewFeed()
	log := slog.New(f.LogHandler(slog.NewTextHandler(io.Discard, nil), slog.LevelInfo))
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := range 200 {
				id := fmt.Sprint(worker, "-", n)
				log.Info("x", accesslog.FieldRequestID, id)
				f.Listen(&accesslog.Record{RequestID: id})
				log.Info("y", accesslog.FieldRequestID, id)
				f.Entries()
			}
		})
	}
	all.Wait()
	last, _ := f.Last()
	require.GreaterOrEqual(t, last, uint64(1600))
}

func TestPageOfRequests(t *testing.T) {
	l, s := serving(t, Config{}, http.NotFound)
	_, body := get(t, s, Root)
	require.Contains(t, body, "No version serves yet.")
	require.Contains(t, body, "No request has ended yet.")
	l.Board.Serve(Version{Generation: 3})
	l.Feed.Listen(&accesslog.Record{Method: "GET", URI: "/<b>", Status: 500, Result: accesslog.Result{Outcome: accesslog.OutcomeTrap, PeakBytes: 1 << 20}})
	resp, body := get(t, s, Root)
	require.Contains(t, body, "Generation 3 serves")
	require.Contains(t, body, "GET /&lt;b&gt;")
	require.Contains(t, body, "500 trap")
	require.Contains(t, body, "1.0 MiB")
	require.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
}

// A page of another site cannot read the requests by giving its name the address of this machine.
func TestPageOfRequestsIsForThisMachine(t *testing.T) {
	l := New(Config{Prefix: "/", Closing: t.Context()})
	for host, want := range map[string]int{
		"127.0.0.1:8080":     200,
		"[::1]:8080":         200,
		"[::1]":              200,
		"192.168.1.2:8080":   200,
		"localhost:8080":     200,
		"LOCALHOST.":         200,
		"app.localhost:8080": 200,
		"evil.example:8080":  403,
		"localhost.evil":     403,
		"127.0.0.1.evil":     403,
		"":                   403,
	} {
		r := httptest.NewRequest("GET", Root, nil)
		r.Host = host
		w := httptest.NewRecorder()
		l.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
		require.Equal(t, want, w.Code, host)
	}
}

func TestAssets(t *testing.T) {
	_, s := serving(t, Config{}, http.NotFound)
	for name, contentType := range map[string]string{"live.js": "text/javascript", "page.js": "text/javascript", "requests.js": "text/javascript", "style.css": "text/css"} {
		resp, body := get(t, s, Root+name)
		require.Equal(t, 200, resp.StatusCode)
		require.Contains(t, resp.Header.Get("Content-Type"), contentType)
		require.NotEmpty(t, body)
		require.NotContains(t, body, "://", "nothing is loaded from elsewhere")
	}
	resp, _ := get(t, s, Root+"failed.tmpl")
	require.Equal(t, 404, resp.StatusCode)
}
