package lane_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane/lanetest"
)

// spend makes the promise of package lane for a response.
func spend(w http.ResponseWriter) {
	if w, ok := w.(interface{ Spent() }); ok {
		w.Spent()
	}
}

// TestSpentRequestsLeaveNothing sends random requests on several connections at a time. All of them are described, with
// nothing of others: their exchanges serve one after the other.
func TestSpentRequestsLeaveNothing(t *testing.T) {
	plain := lanetest.NetHTTP.Start(t, http.HandlerFunc(describe)).Addr
	fast := lanetest.Lane.Start(t, http.HandlerFunc(describe)).Addr
	var clients sync.WaitGroup
	for seed := range uint64(8) {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1))
			for range 20 {
				var requests strings.Builder
				for range 20 {
					writeRandom(&requests, random)
				}
				want, err := talk(plain, requests.String())
				if err != nil {
					t.Error(err)
				}
				got, err := talk(fast, requests.String())
				if want = normal(want); err != nil || want != normal(got) {
					t.Errorf("%v: want %q, got %q", err, want, got)
				}
			}
		})
	}
	clients.Wait()
}

// writeRandom writes a request of the strict subset.
func writeRandom(b *strings.Builder, random *rand.Rand) {
	size := random.IntN(3) * random.IntN(10)
	method := [...]string{"GET", "PUT", "POST", "DELETE"}[random.IntN(4)]
	fmt.Fprintf(b, "%s /%d?%d HTTP/1.1\r\nHost: h%d\r\nContent-Length: %d\r\n", method, random.Int(), random.Int(), random.Int(), size)
	for range random.IntN(20) {
		fmt.Fprintf(b, "X-%d: %d\r\n", random.IntN(30), random.Int())
	}
	b.WriteString("\r\n" + strings.Repeat("x", size))
}

// TestOnlySpentRequestsAreReused keeps the requests of a connection. Later ones are others, unless the handler has promised
// to keep nothing and no context waits for the end of the request.
func TestOnlySpentRequestsAreReused(t *testing.T) {
	for name, c := range map[string]struct {
		reused bool
		handle func(w http.ResponseWriter, r *http.Request)
	}{
		"promised":     {true, func(w http.ResponseWriter, _ *http.Request) { spend(w) }},
		"not promised": {false, func(http.ResponseWriter, *http.Request) {}},
		"awaited":      {false, func(w http.ResponseWriter, r *http.Request) { spend(w); _ = r.Context().Done() }},
		"with a child": {false, func(w http.ResponseWriter, r *http.Request) {
			spend(w)
			_, cancel := context.WithCancel(r.Context())
			cancel()
		}},
		"with a value":  {true, func(w http.ResponseWriter, r *http.Request) { spend(w); _ = r.Context().Value(http.NoBody) }},
		"with a look":   {true, func(w http.ResponseWriter, r *http.Request) { spend(w); _ = r.Context().Err() }},
		"with a flush":  {true, func(w http.ResponseWriter, _ *http.Request) { spend(w); w.(http.Flusher).Flush() }},
		"with a header": {true, func(w http.ResponseWriter, _ *http.Request) { spend(w); w.Header()["X"] = []string{"y"} }},
	} {
		t.Run(name, func(t *testing.T) {
			seen := make(map[*http.Request]bool)
			reused := false
			s := lanetest.Lane.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reused = reused || seen[r]
				seen[r] = true
				if len(w.Header()) > 0 {
					t.Error("the header is not empty")
				}
				c.handle(w, r)
			}))
			conn := dial(t, s.Addr)
			from := bufio.NewReader(conn)
			for range 100 {
				ask(t, conn, from, "/")
			}
			require.NoError(t, conn.Close())
			require.NoError(t, s.Stop(t.Context()))
			require.Equal(t, c.reused, reused)
		})
	}
}

// TestPanicsAreNotReused checks that the exchange of a handler that has panicked is dropped.
func TestPanicsAreNotReused(t *testing.T) {
	var kept atomic.Pointer[http.Request]
	s := lanetest.Lane.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spend(w)
		if r.URL.Path == "/panic" {
			kept.Store(r)
			panic(http.ErrAbortHandler)
		}
		_, _ = fmt.Fprint(w, kept.Load() == r)
	}))
	for range 20 {
		conn := dial(t, s.Addr)
		fmt.Fprint(conn, "GET /panic HTTP/1.1\r\nHost: h\r\n\r\n")
		_, err := io.Copy(io.Discard, conn)
		require.NoError(t, err)
		answer, err := talk(s.Addr, after)
		require.NoError(t, err)
		require.Contains(t, answer, "false")
	}
}
