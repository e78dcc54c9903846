package router

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/cache"
)

// counted is a service with a cache, whose answers count how often it has run.
type counted struct {
	*house
	runs  atomic.Int64
	store *cache.Store
	cache *cache.Cache
}

// newCounted returns a service whose answers have the fields of the query, such as /cached?Cache-Control=max-age%3D60.
func newCounted(t *testing.T, serve func(c *counted, w http.ResponseWriter, r *Request) error) *counted {
	c := &counted{store: cache.NewStore(1 << 20)}
	c.cache = c.store.Open("/cached")
	b := binding("/cached", func(w http.ResponseWriter, r *Request, res *accesslog.Result) error {
		res.Start = accesslog.StartWarm
		run := c.runs.Add(1)
		for name, values := range r.URL.Query() {
			w.Header()[name] = values
		}
		if serve != nil {
			return serve(c, w, r)
		}
		_, err := fmt.Fprintf(w, "run %d", run)
		return err
	})
	b.Cache = c.cache
	b.Limiter = admission.NewGate(10).NewLimiter(admission.Limits{})
	c.house = newHouse(t, Config{}, b)
	t.Cleanup(func() {
		c.server.Close()
		c.cache.Close()
		require.Zero(t, c.store.Stats().UsedBytes)
	})
	return c
}

// get sends a request with fields, and returns the response, its body and its record.
func (c *counted) get(method, path string, fields ...string) (*http.Response, string, accesslog.Record) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, nil)
	require.NoError(c.t, err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	answer, err := c.server.Client().Do(r)
	require.NoError(c.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(c.t, err)
	return answer, string(body), c.record()
}

const minute = "Cache-Control=max-age%3D60"

func TestAnswersFromTheCache(t *testing.T) {
	c := newCounted(t, nil)
	path := "/cached?" + minute + `&Etag="a"&X-Own=1&X-Own=2`
	first, body, rec := c.get("GET", path)
	require.Equal(t, "run 1", body)
	require.Equal(t, "vespo; fwd=uri-miss; stored", first.Header.Get("Cache-Status"))
	require.Equal(t, accesslog.CacheMiss, rec.Cache)
	require.Equal(t, accesslog.StartWarm, rec.Start)

	second, body, rec := c.get("GET", path)
	require.Equal(t, "run 1", body)
	require.Regexp(t, `^vespo; hit; ttl=(60|59)$`, second.Header.Get("Cache-Status"))
	require.Regexp(t, `^[01]$`, second.Header.Get("Age"))
	require.NotEqual(t, first.Header.Get(RequestIDHeader), second.Header.Get(RequestIDHeader))
	require.Equal(t, []string{rec.RequestID}, second.Header[RequestIDHeader])
	require.Equal(t, accesslog.CacheHit, rec.Cache)
	require.Equal(t, accesslog.OutcomeOK, rec.Outcome)
	require.Empty(t, rec.Start)
	require.EqualValues(t, 5, rec.BytesOut)
	require.Equal(t, "service of /cached", rec.Service)
	require.EqualValues(t, 5, second.ContentLength)
	for _, h := range []http.Header{first.Header, second.Header} {
		h.Del("Age")
		h.Del("Cache-Status")
		h.Del(RequestIDHeader)
		h.Del("Date")
	}
	require.Equal(t, first.Header, second.Header)

	head, body, _ := c.get("HEAD", path)
	require.Empty(t, body)
	require.Equal(t, 200, head.StatusCode)
	require.EqualValues(t, 5, head.ContentLength)
	require.Equal(t, first.Header["Content-Type"], head.Header["Content-Type"])
	same, body, rec := c.get("GET", path, `If-None-Match: "b", W/"a"`)
	require.Equal(t, 304, same.StatusCode)
	require.Empty(t, body)
	require.Equal(t, `"a"`, same.Header.Get("Etag"))
	require.Equal(t, "max-age=60", same.Header.Get("Cache-Control"))
	require.NotEmpty(t, same.Header.Get("Date"))
	require.Empty(t, same.Header.Get("X-Own"))
	require.Equal(t, 304, rec.Status)
	require.EqualValues(t, 1, c.runs.Load())
}

func TestRequestsThatReachTheService(t *testing.T) {
	c := newCounted(t, nil)
	path := "/cached?" + minute
	c.get("GET", path)
	runs := int64(1)
	for _, r := range []struct{ method, path, field, status string }{
		{"GET", path + "&X=1", "A: a", "vespo; fwd=uri-miss; stored"},
		{"GET", "/cached/?" + minute, "A: a", "vespo; fwd=uri-miss; stored"},
		{"GET", "/cache%64?" + minute, "A: a", "vespo; fwd=uri-miss; stored"},
		{"GET", path, "Cache-Control: no-cache", "vespo; fwd=request; stored"},
		{"GET", path, "Cache-Control: no-store", "vespo; fwd=bypass"},
		{"GET", path, "Range: bytes=0-1", "vespo; fwd=bypass"},
		{"GET", path, "Authorization: x", "vespo; fwd=request; detail=credentials"},
		{"OPTIONS", path, "A: a", "vespo; fwd=method"},
		{"GET", "/cached", "A: a", "vespo; fwd=uri-miss; detail=no-lifetime"},
		{"GET", "/cached?" + minute + "&Set-Cookie=a", "A: a", "vespo; fwd=uri-miss; detail=set-cookie"},
	} {
		runs++
		answer, body, rec := c.get(r.method, r.path, r.field)
		require.Equal(t, fmt.Sprint("run ", runs), body, "%v", r)
		require.Equal(t, r.status, answer.Header.Get("Cache-Status"), "%v", r)
		require.NotEmpty(t, rec.Cache)
	}
	_, body, _ := c.get("GET", path)
	require.Equal(t, "run 5", body, "the answer that a client with no-cache has got is the newest")
	_, body = c.raw("GET", "GET http://"+c.server.Listener.Addr().String()+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
	require.Equal(t, fmt.Sprint("run ", runs+1), body, "a target in another form")
	_, body = c.raw("GET", "GET "+path+" HTTP/1.1\r\nHost: other\r\n\r\n")
	require.Equal(t, fmt.Sprint("run ", runs+2), body, "another authority")
}

func TestUnsafeRequestsInvalidate(t *testing.T) {
	c := newCounted(t, func(c *counted, w http.ResponseWriter, r *Request) error {
		if r.Method == "DELETE" {
			return problem.New(problem.Conflict, "no")
		}
		_, err := fmt.Fprint(w, "run ", c.runs.Load())
		return err
	})
	path := "/cached?" + minute
	c.get("GET", path)
	c.get("DELETE", path)
	_, body, _ := c.get("GET", path)
	require.Equal(t, "run 1", body)
	c.get("POST", path)
	_, body, _ = c.get("GET", path)
	require.Equal(t, "run 4", body)
	c.mayReport = func(*Request, routekey.Key, []string) error { return nil }
	answer, body, _ := c.get("PUT", path, httpfield.ReportHeader+": 1")
	require.Equal(t, "run 5", body)
	require.Equal(t, "vespo; fwd=method", answer.Header.Get("Cache-Status"))
	answer, body, _ = c.get("GET", path, httpfield.ReportHeader+": 1")
	require.Equal(t, "run 6", body)
	require.Equal(t, "vespo; fwd=bypass", answer.Header.Get("Cache-Status"))
	_, body, _ = c.get("GET", path)
	require.Equal(t, "run 7", body)
}

func TestOnlyIfCached(t *testing.T) {
	c := newCounted(t, nil)
	path := "/cached?" + minute
	answer, body, rec := c.get("GET", path, "Cache-Control: only-if-cached")
	require.Equal(t, 504, answer.StatusCode)
	require.Contains(t, body, "not-cached")
	require.Equal(t, "vespo; fwd=uri-miss; fwd-status=504", answer.Header.Get("Cache-Status"))
	require.Equal(t, accesslog.CacheAbsent, rec.Cache)
	require.False(t, rec.Failed)
	c.get("GET", path)
	_, body, _ = c.get("GET", path, "Cache-Control: only-if-cached")
	require.Equal(t, "run 1", body)
}

// TestAnswersThatFail checks that neither failures nor answers that break off are kept, whether the handler says so or not.
func TestAnswersThatFail(t *testing.T) {
	for name, serve := range map[string]func(*counted, http.ResponseWriter, *Request) error{
		"problem": func(*counted, http.ResponseWriter, *Request) error { return problem.New(problem.Trap, "x") },
		"panic":   func(*counted, http.ResponseWriter, *Request) error { panic("x") },
		"failure after the header": func(_ *counted, w http.ResponseWriter, _ *Request) error {
			w.WriteHeader(200)
			return errors.New("x")
		},
		"failure after the body": func(_ *counted, w http.ResponseWriter, _ *Request) error {
			_, err := io.WriteString(w, "x")
			return errors.Join(err, errors.New("x"))
		},
		"source that fails": func(_ *counted, w http.ResponseWriter, _ *Request) error {
			_, _ = io.Copy(w, io.MultiReader(strings.NewReader("x"), &failingReader{}))
			return nil
		},
		"declared length": func(_ *counted, w http.ResponseWriter, _ *Request) error {
			w.Header().Set("Content-Length", "5")
			_, err := io.WriteString(w, "x")
			return err
		},
		"trailer": func(_ *counted, w http.ResponseWriter, _ *Request) error {
			_, err := io.WriteString(w, "x")
			w.Header().Set(http.TrailerPrefix+"X", "1")
			return err
		},
	} {
		c := newCounted(t, serve)
		for want := range int64(2) {
			answer, err := c.server.Client().Get(c.server.URL + "/cached?" + minute)
			if err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				require.NoError(t, answer.Body.Close())
			}
			c.record()
			require.Equal(t, want+1, c.runs.Load(), name)
			require.Zero(t, c.store.Stats().Entries, name)
		}
	}
}

type failingReader struct{}

func (*failingReader) Read([]byte) (int, error) { return 0, errors.New("x") }

// TestWaysToWrite checks that the body is kept for each way to write it.
func TestWaysToWrite(t *testing.T) {
	text := strings.Repeat("0123456789", 5000)
	large := []byte(text)
	for name, write := range map[string]func(http.ResponseWriter) error{
		"nothing": func(http.ResponseWriter) error { return nil },
		"status":  func(w http.ResponseWriter) error { w.WriteHeader(404); return nil },
		"string":  func(w http.ResponseWriter) error { _, err := io.WriteString(w, text); return err },
		"bytes":   func(w http.ResponseWriter) error { _, err := w.Write(large); return err },
		"source":  func(w http.ResponseWriter) error { _, err := io.Copy(w, strings.NewReader(text)); return err },
		"no reader": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, io.LimitReader(bytes.NewReader(large), 20000))
			return err
		},
		"early": func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusEarlyHints)
			_, err := io.WriteString(w, "x")
			return err
		},
		"length": func(w http.ResponseWriter) error {
			w.Header().Set("Content-Length", strconv.Itoa(len(large)))
			_, err := w.Write(large)
			return err
		},
	} {
		c := newCounted(t, func(_ *counted, w http.ResponseWriter, _ *Request) error { return write(w) })
		first, body, _ := c.get("GET", "/cached?"+minute)
		second, again, rec := c.get("GET", "/cached?"+minute)
		require.Equal(t, accesslog.CacheHit, rec.Cache, name)
		require.Equal(t, first.StatusCode, second.StatusCode, name)
		require.Equal(t, body, again, name)
		require.Equal(t, first.Header["Content-Type"], second.Header["Content-Type"], name)
		require.EqualValues(t, len(body), rec.BytesOut, name)
	}
}

// TestHitsTakeNoPlace answers from the cache while the service is full.
func TestHitsTakeNoPlace(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	store := cache.NewStore(1 << 20)
	b := binding("/cached", func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		if r.URL.RawQuery == "wait" {
			close(begun)
			<-end
		}
		w.Header().Set("Cache-Control", "max-age=60")
		return nil
	})
	b.Cache = store.Open("/cached")
	b.Limiter = admission.NewGate(1).NewLimiter(admission.Limits{Concurrency: 1})
	h := newHouse(t, Config{}, b)
	h.do("GET", "/cached", nil)
	var waits sync.WaitGroup
	waits.Go(func() {
		answer, err := h.server.Client().Get(h.server.URL + "/cached?wait")
		if err != nil {
			t.Error(err)
			return
		}
		_ = answer.Body.Close()
	})
	<-begun
	answer, _ := h.do("GET", "/cached", nil)
	require.Contains(t, answer.Header.Get("Cache-Status"), "hit")
	close(end)
	waits.Wait()
}

// TestCollapsedRequestsRunOnce sends requests at the same time.
func TestCollapsedRequestsRunOnce(t *testing.T) {
	release := make(chan struct{})
	c := newCounted(t, func(c *counted, w http.ResponseWriter, _ *Request) error {
		<-release
		_, err := fmt.Fprint(w, "run ", c.runs.Load())
		return err
	})
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			answer, err := c.server.Client().Get(c.server.URL + "/cached?" + minute)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			if body, _ := io.ReadAll(answer.Body); string(body) != "run 1" {
				t.Errorf("%s", body)
			}
		})
	}
	for c.store.Stats().Collapsed < 9 {
		if t.Failed() {
			break
		}
	}
	close(release)
	all.Wait()
	require.EqualValues(t, 1, c.runs.Load())
}

// TestInternalRequestsAreNotCached checks that requests of services and schedules always run.
func TestInternalRequestsAreNotCached(t *testing.T) {
	c := newCounted(t, nil)
	path := "/cached?" + minute
	for range 2 {
		require.NoError(t, c.Dispatch("/cached", httptest.NewRecorder(), httptest.NewRequest("GET", path, nil), nil))
		require.Empty(t, c.record().Cache)
	}
	require.EqualValues(t, 2, c.runs.Load())
	require.Zero(t, c.store.Stats().Entries)
}
