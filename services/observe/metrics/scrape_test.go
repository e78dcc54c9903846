package metrics

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/observe/tally/tallytest"
)

// One scrape runs at a time, a few wait, and the server rests after each.
func TestScrapesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHandler(prometheus.NewRegistry())
		release, leave, err := h.acquire(t.Context())
		require.NoError(t, err)
		began := time.Now()
		var refused int
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 2 * maxWaiting {
			all.Go(func() {
				release, leave, err := h.acquire(t.Context())
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					refused++
					return
				}
				release()
				leave()
			})
		}
		synctest.Wait()
		require.Equal(t, maxWaiting, refused)
		time.Sleep(time.Second)
		release()
		leave()
		all.Wait()
		require.Equal(t, 1*time.Second+rest*time.Second, time.Since(began), "the next scrape comes after a rest")
		require.EqualValues(t, maxWaiting, h.refused.Load())

		release, leave, err = h.acquire(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err = h.acquire(ctx)
		require.ErrorIs(t, err, context.Canceled)
		began = time.Now()
		_, _, err = h.acquire(t.Context())
		require.Error(t, err)
		require.Equal(t, maxWait, time.Since(began))
		release()
		leave()
	})
}

// stuckWriter is a client that does not read.
type stuckWriter struct {
	*httptest.ResponseRecorder
	until <-chan struct{}
}

func (w stuckWriter) Write(p []byte) (int, error) {
	<-w.until
	return len(p), nil
}

// A client that does not read its scrape keeps no other one from theirs.
func TestASlowClientHoldsNoScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := tallytest.New(t)
		r.Listen(record("/a"))
		h := newScraped(r)
		read := make(chan struct{})
		served := make(chan error, 1)
		for _, encoding := range []string{"gzip", "identity"} {
			slow := httptest.NewRequest("GET", "/", nil)
			slow.Header.Set("Accept-Encoding", encoding)
			go func() { served <- h.Serve(stuckWriter{httptest.NewRecorder(), read}, slow) }()
			synctest.Wait()
		}
		began := time.Now()
		require.Contains(t, get(t, h).Body.String(), `vespo_requests_total{`)
		require.Zero(t, time.Since(began))
		close(read)
		require.NoError(t, <-served)
		require.NoError(t, <-served)
	})
}
