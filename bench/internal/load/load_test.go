package load

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func dial(t *testing.T, h http.HandlerFunc, connections int) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := Dial(strings.TrimPrefix(s.URL, "http://"), "/some/path", connections)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestRunMakesTheRequestsItCounts(t *testing.T) {
	var served atomic.Int64
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		if r.URL.Path != "/some/path" {
			http.Error(w, "another path", http.StatusBadRequest)
		}
		if served.Load()%2 == 0 {
			w.(http.Flusher).Flush() // in chunks
		}
		io.WriteString(w, strings.Repeat("x", int(served.Load())%5000)) // some of them in several segments
	}, 3)
	status, body, err := c.Get()
	require.NoError(t, err)
	require.Equal(t, 200, status)
	require.Len(t, body, 1)
	for _, n := range []int{1, 3, 100, 1001} {
		served.Store(0)
		r, err := c.Run(Bound{Requests: n})
		require.NoError(t, err)
		require.Equal(t, n, r.Requests)
		require.EqualValues(t, n, served.Load())
		require.Positive(t, r.PerSecond())
	}
	r, err := c.Run(Bound{Duration: time.Millisecond})
	require.NoError(t, err)
	require.GreaterOrEqual(t, r.Elapsed, time.Millisecond)
	require.GreaterOrEqual(t, r.Requests, 3)
}

// A server may send the body back before it has read all of it.
func TestLargeBodies(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 64<<10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			panic(err)
		}
		io.Copy(w, r.Body)
	}))
	t.Cleanup(s.Close)
	c, err := DialRequest(strings.TrimPrefix(s.URL, "http://"), &Request{Method: "POST", Path: "/", Type: "text/plain", Body: body, Answer: 2 * len(body)}, 2)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	status, answer, err := c.Get()
	require.NoError(t, err)
	require.Equal(t, 200, status)
	require.True(t, answer == body)
	r, err := c.Run(Bound{Requests: 10})
	require.NoError(t, err)
	require.Equal(t, 10, r.Requests)
}

func TestMix(t *testing.T) {
	var counts [2]atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { counts[len(r.URL.Path)-1].Add(1) }))
	t.Cleanup(s.Close)
	n := 0
	c, err := DialMix(strings.TrimPrefix(s.URL, "http://"), []*Request{{Path: "/"}, {Path: "/a"}}, []func() int{nil, func() int { n++; return n % 2 }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	_, err = c.Run(Bound{Requests: 20})
	require.NoError(t, err)
	require.EqualValues(t, 15, counts[0].Load())
	require.EqualValues(t, 5, counts[1].Load())
}

func TestRunEndsWithWhatIsNoAnswer(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"nor chunks": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			require.NoError(t, err)
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nuntil the end")
		},
		"read the answer: EOF": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		_, err := dial(t, h, 2).Run(Bound{Requests: 10})
		require.ErrorContains(t, err, name)
	}
}

// A server that never answers ends the run.
func TestRunEndsWithoutAnAnswer(t *testing.T) {
	stuck := make(chan struct{})
	var served atomic.Int64
	c := dial(t, func(http.ResponseWriter, *http.Request) {
		if served.Add(1) > 1 {
			<-stuck
		}
	}, 1)
	t.Cleanup(func() { close(stuck) }) // runs before the server's
	c.timeout = 50 * time.Millisecond
	_, err := c.Run(Bound{Requests: 10})
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	_, _, err = c.Get()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestAnswerEnd(t *testing.T) {
	for _, c := range []struct {
		answer string
		end    int
		err    string
	}{
		{"HTTP/1.1 200 OK\r\nContent-Le", 0, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", 51, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: 1\r\n\r\nabc", 47, ""},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 0, ""},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 60, ""},
		{"HTTP/1.1 204 No Content\r\n\r\n", 0, "204"},
		{"HTTP/1.1 200 OK\r\nX: 1\r\n\r\nContent-Length: 3\r\n", 0, "nor chunks"},
	} {
		end, err := answerEnd([]byte(c.answer))
		if c.err != "" {
			require.ErrorContains(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.end, end, c.answer)
	}
}

func TestHistogram(t *testing.T) {
	var h, other Histogram
	require.Zero(t, h.Quantile(0.5))
	random := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	for i := range 10_000 {
		d := time.Duration(random.ExpFloat64() * 1e5)
		all = append(all, d)
		if i%2 == 0 {
			h.Add(d)
		} else {
			other.Add(d)
		}
	}
	h.Merge(&other)
	slices.Sort(all)
	require.Equal(t, len(all), h.Count())
	require.Equal(t, all[len(all)-1], h.Max())
	for _, q := range []float64{0, 0.01, 0.5, 0.99, 1} {
		exact := all[int(q*float64(len(all)-1))]
		require.InEpsilon(t, float64(exact+1), float64(h.Quantile(q)+1), 1.0/fine, "quantile %v", q)
	}
}

func TestBucketsFollowEachOther(t *testing.T) {
	for b := range buckets - 1 {
		end := uint64(upper(b))
		require.Equal(t, b, bucket(end))
		if end < 1<<62 {
			require.Equal(t, b+1, bucket(end+1))
		}
	}
}

func TestRequestBelow(t *testing.T) {
	require.Equal(t, "GET /hello/world\n", (&Request{Path: "/mux/hello/world"}).Below("/mux"))
	require.Equal(t, "GET /\n", (&Request{Path: "/html"}).Below("/html"))
	post := &Request{Method: "POST", Path: "/json", Type: "application/json", Body: "{}"}
	require.Equal(t, "POST /\nContent-Type: application/json\n\n{}", post.Below("/json"))
}
