package router

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
)

func requestWith(fields, valueBytes int, length int64) *http.Request {
	r, _ := http.NewRequest(http.MethodPost, "http://h/", nil)
	for i := range fields {
		r.Header[fmt.Sprintf("F%d", i)] = []string{strings.Repeat("x", valueBytes)}
	}
	r.ContentLength = length
	return r
}

func TestBurden(t *testing.T) {
	const limit = 16 * requestBytes
	large, small, body := requestWith(1, 16<<10, 0), requestWith(1, 1, 0), requestWith(1, 1, 1)
	b := &burden{}
	b.limitTo(limit)
	var held []load
	fill := func(r *http.Request) {
		for {
			n, err := b.take(r)
			if err != nil {
				require.Equal(t, problem.NoCapacity, problem.From(err).Kind())
				require.Equal(t, burdenRetry, problem.From(err).RetryAfter)
				return
			}
			held = append(held, n)
		}
	}
	fill(large)
	require.LessOrEqual(t, b.sum(), int64(limit/2))
	require.EqualValues(t, 1, b.refused.Load())
	require.NotEmpty(t, held)
	fill(body)
	require.Greater(t, b.sum(), int64(limit/2), "large headers leave room")
	require.LessOrEqual(t, b.sum(), int64(limit*3/4))
	fill(small)
	require.Greater(t, b.sum(), int64(limit*3/4), "bodies leave room")
	require.LessOrEqual(t, b.sum(), int64(limit))
	for _, n := range held {
		b.give(n)
	}
	require.Zero(t, b.sum())
}

// TestBurdenOfManyProcessors checks that counts in parts exceed no limit, and that nothing stays counted.
func TestBurdenOfManyProcessors(t *testing.T) {
	const goroutines, rounds = 16, 2000
	b := &burden{}
	b.limitTo(16 * 4 * burdenBatch * int64(runtime.GOMAXPROCS(0)))
	require.Positive(t, b.batch)
	most := b.limit + b.batch*int64(len(b.parts))
	var held atomic.Int64
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			var mine []load
			give := func() {
				for _, l := range mine {
					held.Add(-l.bytes)
					b.give(l)
				}
				mine = mine[:0]
			}
			take := func() bool {
				l, err := b.take(requestWith(1, 4<<10, 0))
				if err != nil {
					return false
				}
				if n := held.Add(l.bytes); n > most {
					t.Errorf("%d bytes are held, limit %d", n, most)
				}
				mine = append(mine, l)
				return true
			}
			for i := range rounds {
				if !take() || i%64 == 0 {
					give()
				}
			}
			for take() { // up to the limit
			}
			give()
		})
	}
	all.Wait()
	require.Positive(t, b.refused.Load())
	require.Zero(t, b.sum())
}

func TestFieldsAreBounded(t *testing.T) {
	b := &burden{}
	_, err := b.take(requestWith(maxFields, 1, 0))
	require.NoError(t, err)
	_, err = b.take(requestWith(maxFields+1, 1, 0))
	require.Equal(t, problem.HeaderTooLarge, problem.From(err).Kind())
	r := requestWith(0, 0, 0)
	r.Header["Same"] = make([]string, maxFields+1)
	_, err = b.take(r)
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, problem.From(err).Kind().Status())
}

// Large headers of open requests, on streams of few connections, are refused at the limit,
// while other requests are answered.
func TestLargeHeadersOfOpenRequests(t *testing.T) {
	const limit, streams = 1 << 20, 100
	release := make(chan struct{})
	h := newHouse(t, Config{HeaderBytes: limit}, binding("/open", func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return nil
	}), binding("/a", say("a")))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	statuses := make(chan int, streams)
	for range streams {
		all.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.URL+"/open", nil)
			if err != nil {
				return
			}
			req.Header.Set("Large", strings.Repeat("x", 50<<10))
			if resp, err := transport.RoundTrip(req); err == nil {
				statuses <- resp.StatusCode
				resp.Body.Close()
			}
		})
	}
	refused := 0
	for ; refused < streams-limit/2/(58<<10); refused++ {
		require.Equal(t, http.StatusServiceUnavailable, <-statuses)
	}
	resp, body := h.do(http.MethodGet, "/a", nil)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "a", string(body))
	require.LessOrEqual(t, h.held.sum(), int64(limit/2))
	close(release)
	all.Wait()
	for range streams - refused {
		require.Equal(t, http.StatusOK, <-statuses)
	}
}

func TestStats(t *testing.T) {
	rt := New(Config{HeaderBytes: requestBytes})
	rt.ServeHTTP(httptest.NewRecorder(), requestWith(1, 1, 0))
	require.Equal(t, Stats{LimitBytes: requestBytes, Refused: 1}, rt.Stats())
	rt.held.limit *= 4
	held, err := rt.held.take(requestWith(1, 1, 0))
	require.NoError(t, err)
	require.Equal(t, held.bytes, rt.Stats().HeldBytes)
}
