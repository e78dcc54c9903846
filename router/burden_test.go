package router

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
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
	b := &burden{limit: limit}
	var held []int64
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
	require.LessOrEqual(t, b.held.Load(), int64(limit/2))
	require.EqualValues(t, 1, b.refused.Load())
	require.NotEmpty(t, held)
	fill(body)
	require.Greater(t, b.held.Load(), int64(limit/2), "large headers leave room")
	require.LessOrEqual(t, b.held.Load(), int64(limit*3/4))
	fill(small)
	require.Greater(t, b.held.Load(), int64(limit*3/4), "bodies leave room")
	require.LessOrEqual(t, b.held.Load(), int64(limit))
	for _, n := range held {
		b.give(n)
	}
	require.Zero(t, b.held.Load())
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
	require.LessOrEqual(t, h.held.held.Load(), int64(limit/2))
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
	require.Equal(t, held, rt.Stats().HeldBytes)
}
