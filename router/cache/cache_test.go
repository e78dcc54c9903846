package cache

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// ask returns a GET for a target.
func ask(target string, lines ...string) *Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = header(lines...)
	q, ok := NewRequest(r, Key{Authority: "http://h", Target: target}, time.Now())
	if !ok {
		panic("the cache is not for " + strings.Join(lines, " "))
	}
	return &q
}

// fetch sends a request, and lets answer answer it if the cache cannot. It returns the body, and why the cache could not; "" if it could.
func fetch(t *testing.T, c *Cache, q *Request, body string, lines ...string) (string, Why) {
	t.Helper()
	found, err := c.Fetch(t.Context(), q)
	require.NoError(t, err)
	if found.Hit != nil {
		defer found.Hit.Release()
		_, stored := found.Hit.Answer(header())
		return string(stored), ""
	}
	if found.Fill != nil {
		found.Fill.Answer(200, header(lines...), time.Now())
		_, err := found.Fill.Write([]byte(body))
		require.NoError(t, err)
		found.Fill.End(true, header(lines...))
	}
	return body, found.Why
}

// requireEmpty requires that nothing is counted after the end of all requests.
func requireEmpty(t *testing.T, s *Store) {
	t.Helper()
	require.Zero(t, s.used)
	require.Zero(t, s.recording)
	require.Zero(t, s.active)
	require.Zero(t, s.recent.Len())
	require.Empty(t, s.services)
}

func TestDirectivesOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(1 << 20)
		c := s.Open("/a")
		fetch(t, c, ask("/"), "first", "Cache-Control: max-age=60")
		time.Sleep(20 * time.Second)
		for line, want := range map[string]Why{
			"Accept: x":                   "",
			"Cache-Control: max-age=20":   "",
			"Cache-Control: min-fresh=40": "",
			"Cache-Control: max-stale":    "",
			"Cache-Control: no-cache":     WhyRequest,
			"Pragma: no-cache":            WhyRequest,
			"Cache-Control: max-age=19":   WhyRequest,
			"Cache-Control: max-age=0":    WhyRequest,
			"Cache-Control: max-age=x":    WhyRequest,
			"Cache-Control: min-fresh=41": WhyRequest,
			"Authorization: Basic x":      WhyRequest,
			"Cookie: a=b":                 WhyRequest,
			"X-Api-Key: a":                WhyRequest,
			"X-Forwarded-User: a":         WhyRequest,
			"X-Forwarded-Proto: https":    "",
		} {
			_, why := fetch(t, c, ask("/", line), "other", "Cache-Control: no-store")
			require.Equal(t, want, why, line)
		}
		time.Sleep(39 * time.Second)
		body, _ := fetch(t, c, ask("/"), "")
		require.Equal(t, "first", body)
		time.Sleep(time.Second)
		body, why := fetch(t, c, ask("/"), "second", "Cache-Control: max-age=60")
		require.Equal(t, WhyStale, why)
		require.Equal(t, "second", body)
		body, why = fetch(t, c, ask("/", "Cache-Control: no-cache"), "third", "Cache-Control: max-age=60, public")
		require.Equal(t, WhyRequest, why)
		require.Equal(t, "third", body)
		body, _ = fetch(t, c, ask("/", "Cookie: a=b"), "")
		require.Equal(t, "third", body)
		c.Close()
		requireEmpty(t, s)
	})
}

func TestVary(t *testing.T) {
	s := NewStore(1 << 20)
	c := s.Open("/a")
	const control = "Cache-Control: max-age=60"
	fetch(t, c, ask("/", "Accept: a"), "a", control, "Vary: Accept")
	_, why := fetch(t, c, ask("/", "Accept: b"), "b", control, "Vary: accept, X")
	require.Equal(t, WhyVary, why)
	for accept, want := range map[string]string{"a": "a", "b": "b", " a ": "a"} {
		body, why := fetch(t, c, ask("/", "Accept: "+accept), "")
		require.Empty(t, why)
		require.Equal(t, want, body)
	}
	for _, other := range []*Request{ask("/"), ask("/", "Accept: "), ask("/", "Accept: A"), ask("/", "Accept: a", "Accept: a"), ask("/", "Accept: b", "X: 1")} {
		_, why = fetch(t, c, other, "", "Cache-Control: no-store")
		require.Equal(t, WhyVary, why)
	}
	for i := range 2 * maxVariants {
		fetch(t, c, ask("/", fmt.Sprintf("Accept: v%d", i)), "v", control, "Vary: Accept")
	}
	require.Equal(t, maxVariants, s.Stats().Entries)
	c.Close()
	requireEmpty(t, s)
}

func TestInvalidation(t *testing.T) {
	s := NewStore(1 << 20)
	c, other, trial := s.Open("/a"), s.Open("/b"), s.Open("/a")
	const control = "Cache-Control: max-age=60"
	for _, c := range []*Cache{c, other, trial} {
		fetch(t, c, ask("/1"), "1", control)
		fetch(t, c, ask("/2"), "2", control)
	}
	begun, err := c.Fetch(t.Context(), ask("/1", "Cache-Control: no-cache"))
	require.NoError(t, err)
	begun.Fill.Answer(200, header(control), time.Now())
	c.Invalidate(ask("/1").Key)
	begun.Fill.End(true, header())
	for _, c := range []*Cache{c, trial} {
		_, why := fetch(t, c, ask("/1"), "new", "Cache-Control: no-store")
		require.Equal(t, WhyMiss, why)
		_, why = fetch(t, c, ask("/2"), "")
		require.Empty(t, why)
	}
	require.Equal(t, 4, s.Stats().Entries)
	require.Equal(t, 2, s.Purge("/a"))
	require.Zero(t, s.Purge("/a"))
	require.Zero(t, s.Purge("/none"))
	require.Equal(t, 2, s.Stats().Entries)
	for _, c := range []*Cache{c, other, trial} {
		c.Close()
		c.Close()
		fetch(t, c, ask("/1"), "late", control)
	}
	requireEmpty(t, s)
}

// TestCollapsedRequests lets requests wait for one whose answer is stored, is not storable, or never comes.
func TestCollapsedRequests(t *testing.T) {
	for name, c := range map[string]struct {
		control  string
		complete bool
		runs     int64
	}{
		"stored":       {"max-age=60", true, 1},
		"not storable": {"no-store", true, 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := NewStore(1 << 20)
			of := s.Open("/a")
			var runs atomic.Int64
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					found, err := of.Fetch(t.Context(), ask("/"))
					if err != nil || found.Hit != nil {
						found.Hit.Release()
						return
					}
					runs.Add(1)
					time.Sleep(time.Second)
					found.Fill.Answer(200, header("Cache-Control: "+c.control), time.Now())
					found.Fill.End(c.complete, header())
				})
			}
			all.Wait()
			require.Equal(t, c.runs, runs.Load(), name)
			require.EqualValues(t, 9, s.Stats().Collapsed, name)
			of.Close()
			requireEmpty(t, s)
		})
	}
}

// TestLeaderThatFails lets requests wait for one whose client leaves: another one runs then, and the rest wait for that.
func TestLeaderThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(1 << 20)
		c := s.Open("/a")
		var runs atomic.Int64
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				found, err := c.Fetch(t.Context(), ask("/"))
				if err != nil || found.Hit != nil {
					found.Hit.Release()
					return
				}
				time.Sleep(time.Second)
				if runs.Add(1) == 1 {
					found.Fill.End(false, header())
					return
				}
				found.Fill.Answer(200, header("Cache-Control: max-age=9"), time.Now())
				found.Fill.End(true, header())
			})
		}
		all.Wait()
		require.EqualValues(t, 2, runs.Load())
		c.Close()
		requireEmpty(t, s)
	})
}

// TestWaitsAreBounded has a leader that does not answer.
func TestWaitsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(1 << 20)
		c := s.Open("/a")
		leader, err := c.Fetch(t.Context(), ask("/"))
		require.NoError(t, err)
		gone, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			_, err := c.Fetch(gone, ask("/"))
			if err == nil {
				t.Error("no error")
			}
		})
		begin := time.Now()
		all.Go(func() {
			found, err := c.Fetch(t.Context(), ask("/"))
			if err != nil || found.Fill == nil || found.Waited != MaxWait {
				t.Error(err, found)
				return
			}
			found.Fill.End(false, header())
		})
		synctest.Wait()
		cancel()
		all.Wait()
		require.Equal(t, MaxWait, time.Since(begin))
		begin = time.Now()
		found, err := c.Fetch(t.Context(), ask("/"))
		require.NoError(t, err)
		require.Zero(t, time.Since(begin), "a request waits for a leader that is too old")
		found.Fill.End(false, header())
		leader.Fill.End(false, header())
		c.Close()
		requireEmpty(t, s)
	})
}

// TestStaleWhileOneRequestRenews checks that the request which renews an answer pays alone.
func TestStaleWhileOneRequestRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(1 << 20)
		c := s.Open("/a")
		const control = "Cache-Control: max-age=10, stale-while-revalidate=5"
		fetch(t, c, ask("/"), "old", control)
		time.Sleep(12 * time.Second)
		renewing, err := c.Fetch(t.Context(), ask("/"))
		require.NoError(t, err)
		require.Equal(t, WhyStale, renewing.Why)
		found, err := c.Fetch(t.Context(), ask("/"))
		require.NoError(t, err)
		require.True(t, found.Hit.Stale())
		require.Equal(t, -2*time.Second, found.Hit.TTL())
		found.Hit.Release()
		time.Sleep(3 * time.Second)
		renewing.Fill.Answer(200, header(control), time.Now())
		renewing.Fill.End(true, header())
		body, why := fetch(t, c, ask("/"), "")
		require.Empty(t, why)
		require.Empty(t, body)
		time.Sleep(15 * time.Second)
		_, why = fetch(t, c, ask("/"), "new", control)
		require.Equal(t, WhyStale, why)
		c.Close()
		requireEmpty(t, s)
	})
}

func TestAnswersThatAreNotKept(t *testing.T) {
	const control = "Cache-Control: max-age=60"
	for name, c := range map[string]struct {
		lines    []string
		body     string
		complete bool
		end      []string
	}{
		"cut":              {[]string{control}, "a", false, nil},
		"short":            {[]string{control, "Content-Length: 2"}, "a", true, nil},
		"long":             {[]string{control, "Content-Length: 1"}, "ab", true, nil},
		"no length":        {[]string{control, "Content-Length: x"}, "ab", true, nil},
		"large":            {[]string{control}, strings.Repeat("x", 65<<10), true, nil},
		"large, announced": {[]string{control, "Content-Length: 70000"}, strings.Repeat("x", 70000), true, nil},
		"large header":     {[]string{control, "X: " + strings.Repeat("x", 65<<10)}, "", true, nil},
		"trailer":          {[]string{control}, "a", true, []string{"Trailer:X: 1"}},
	} {
		s := NewStore(1 << 20)
		of := s.Open("/a")
		found, err := of.Fetch(t.Context(), ask("/"))
		require.NoError(t, err)
		found.Fill.Answer(200, header(c.lines...), time.Now())
		for chunk := range strings.SplitSeq(c.body, "") {
			_, _ = found.Fill.Write([]byte(chunk))
		}
		end := header(c.lines...)
		if c.end != nil {
			end["Trailer:X"] = []string{"1"}
		}
		found.Fill.End(c.complete, end)
		_, _ = found.Fill.Write([]byte("stray"))
		require.Zero(t, s.Stats().Entries, name)
		require.Zero(t, s.used, name)
		of.Close()
		requireEmpty(t, s)
	}
}
