package router

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/cache"
)

// TestStaleIfError primes an answer for each way to fail, lets all become too old, and fails.
func TestStaleIfError(t *testing.T) {
	type serve = func(http.ResponseWriter, *Request) error
	ways := map[string]struct {
		serve  serve
		status int  // of the service
		fails  bool // with an error
	}{
		"trap":            {func(http.ResponseWriter, *Request) error { return problem.New(problem.Trap, "x") }, 500, true},
		"panic":           {func(http.ResponseWriter, *Request) error { panic("x") }, 500, true},
		"deadline":        {func(http.ResponseWriter, *Request) error { return problem.New(problem.Deadline, "x") }, 504, true},
		"no capacity":     {func(http.ResponseWriter, *Request) error { return problem.New(problem.NoCapacity, "x") }, 503, true},
		"own answer":      {failWith(502, nil), 502, false},
		"error after it":  {failWith(500, errors.New("x")), 500, true},
		"header and trap": {failWith(500, problem.New(problem.Trap, "x")), 500, true},
	}
	var failing atomic.Bool
	c := newCounted(t, func(_ *counted, w http.ResponseWriter, r *Request) error {
		if failing.Load() {
			w.Header().Set("X-Failed", "1")
			return ways[r.URL.Query().Get("Way")].serve(w, r)
		}
		_, err := io.WriteString(w, "good")
		return err
	})
	const control = "Cache-Control=max-age%3D60,stale-if-error%3D60&Etag=%22e%22"
	path := func(name string) string { return "/cached?" + control + "&Way=" + strings.ReplaceAll(name, " ", "%20") }
	for name := range ways {
		c.get("GET", path(name)+"&Age=59")
	}
	time.Sleep(time.Second)
	failing.Store(true)
	for name, way := range ways {
		for range 2 {
			answer, body, rec := c.get("GET", path(name)+"&Age=59")
			require.Equal(t, 200, answer.StatusCode, name)
			require.Equal(t, "good", body)
			require.EqualValues(t, 4, answer.ContentLength)
			require.Empty(t, answer.Header.Get("X-Failed"))
			require.Equal(t, `"e"`, answer.Header.Get("Etag"))
			require.NotEmpty(t, answer.Header.Get(RequestIDHeader))
			require.Regexp(t, fmt.Sprintf(`^vespo; fwd=stale; fwd-status=%d; ttl=-\d+; detail=stale-if-error$`, way.status), answer.Header.Get("Cache-Status"))
			age, err := strconv.Atoi(answer.Header.Get("Age"))
			require.NoError(t, err)
			require.GreaterOrEqual(t, age, 60)
			require.Equal(t, accesslog.CacheRescue, rec.Cache)
			require.NotEqual(t, accesslog.OutcomeAborted, rec.Outcome, name)
			require.Equal(t, way.fails, rec.Err != nil, name)
			require.True(t, rec.Failed, "the service has failed, whatever the client got")
			require.Equal(t, 200, rec.Status)
			require.EqualValues(t, 4, rec.BytesOut)
		}
		answer, body, _ := c.get("GET", path(name)+"&Age=59", `If-None-Match: "e"`)
		require.Equal(t, http.StatusNotModified, answer.StatusCode)
		require.Empty(t, body)
		answer, _, _ = c.get("GET", path(name)+"&Age=59", "Cache-Control: no-cache")
		require.Equal(t, way.status, answer.StatusCode)
	}
	require.EqualValues(t, 3*len(ways), c.store.Stats().Rescued)
	failing.Store(false)
	for name := range ways {
		answer, _, rec := c.get("GET", path(name)+"&Age=59")
		require.Equal(t, "vespo; fwd=stale; stored", answer.Header.Get("Cache-Status"), name)
		require.False(t, rec.Failed)
	}
}

// failWith returns a handler that answers with a status and a long body, by all ways to write, and returns an error.
func failWith(status int, err error) func(http.ResponseWriter, *Request) error {
	return func(w http.ResponseWriter, _ *Request) error {
		w.Header().Set("Content-Length", "30")
		w.WriteHeader(status)
		_, one := io.WriteString(w, "0123456789")
		_, two := w.Write([]byte("0123456789"))
		_, three := io.Copy(w, strings.NewReader("0123456789"))
		return errors.Join(one, two, three, http.NewResponseController(w).Flush(), err)
	}
}

// TestStaleAnswersAreNotMirrored checks that a mirror gets no copy with an answer that is not that of the service.
func TestStaleAnswersAreNotMirrored(t *testing.T) {
	var failing atomic.Bool
	b := binding("/a", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		if failing.Load() {
			return problem.New(problem.Trap, "x")
		}
		w.Header().Set("Cache-Control", "max-age=60, stale-if-error=60")
		w.Header().Set("Age", "59")
		_, err := io.WriteString(w, "good")
		return err
	})
	b.Cache = cache.NewStore(1 << 20).Open("/a")
	own := NewRoute(b)
	copies := 0
	table, err := BuildTable([]*Route{NewSplit(b.Key, Split{
		Arms:   []Arm{{Route: own, Weight: Whole}},
		Own:    own,
		Mirror: &Mirror{Route: NewRoute(binding("/a", nil)), Weight: Whole, Offer: func(*Copy) { copies++ }},
	})})
	require.NoError(t, err)
	rt := New(Config{})
	rt.Publish(table)
	ask := func() string {
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/a", nil))
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "good", w.Body.String())
		return w.Header().Get(cacheStatus)
	}
	require.Contains(t, ask(), "stored")
	require.Equal(t, 1, copies)
	time.Sleep(time.Second)
	failing.Store(true)
	require.Contains(t, ask(), "stale-if-error")
	require.Equal(t, 1, copies)
}
