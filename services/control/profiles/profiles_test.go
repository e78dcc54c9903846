package profiles

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
)

func get(h *Handler, target string) (*httptest.ResponseRecorder, error) {
	w := httptest.NewRecorder()
	return w, h.Serve(w, httptest.NewRequest(http.MethodGet, target, nil))
}

func TestProfiles(t *testing.T) {
	h := New()
	require.Contains(t, h.Paths(), Path)
	require.NotContains(t, h.Paths(), Path+"cmdline", "a command line can have tokens in it")
	for _, path := range h.Paths() {
		target := path
		if name := strings.TrimPrefix(path, Path); slices.Contains([]string{"profile", "trace", "mutex", "block"}, name) {
			target += "?seconds=1"
		}
		w, err := get(h, target)
		require.NoError(t, err, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.NotEmpty(t, w.Body.Bytes(), path)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	}
	w, err := get(h, Path+"heap")
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, z)
	require.NoError(t, err)
}

// Goroutines that wait are recorded while such a profile is taken, and not before or after.
func TestWaits(t *testing.T) {
	h := New()
	var mu sync.Mutex
	var group sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		group.Go(func() { contend(&mu, stop) })
	}
	for _, name := range []string{"mutex", "block"} {
		w, err := get(h, Path+name+"?seconds=1")
		require.NoError(t, err)
		z, err := gzip.NewReader(w.Body)
		require.NoError(t, err)
		profile, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Contains(t, string(profile), "profiles.contend", name)
		require.Zero(t, runtime.SetMutexProfileFraction(-1))
	}
	close(stop)
	group.Wait()
}

// contend takes and releases a mutex all the time.
func contend(mu *sync.Mutex, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			mu.Lock()
			runtime.Gosched()
			mu.Unlock()
		}
	}
}

func TestDurationsAreBounded(t *testing.T) {
	h := New()
	for _, seconds := range []string{"0", "-1", "61", "1e9", "1.5", "", "x", "1&seconds=600"} {
		_, err := get(h, Path+"profile?seconds="+seconds)
		require.Equal(t, problem.BadRequest, problem.From(err).Kind(), seconds)
	}
}

func TestOneAtATime(t *testing.T) {
	h := New()
	h.taking <- struct{}{} // another one is being taken
	_, err := get(h, Path+"heap")
	p := problem.From(err)
	require.Equal(t, problem.NoCapacity, p.Kind())
	require.Positive(t, p.RetryAfter)
	<-h.taking
	_, err = get(h, Path+"heap")
	require.NoError(t, err)
	require.Empty(t, h.taking, "the place is free again")
}

// A server that is about to stop waits for no profile.
func TestEnd(t *testing.T) {
	h := New()
	began := make(chan struct{})
	serve := h.serve[Path+"profile"]
	h.serve[Path+"profile"] = func(w http.ResponseWriter, r *http.Request) {
		close(began)
		serve(w, r)
	}
	done := make(chan *httptest.ResponseRecorder)
	go func() {
		w, _ := get(h, Path+"profile?seconds=60")
		done <- w
	}()
	<-began
	h.End()
	w := <-done
	require.Equal(t, http.StatusOK, w.Code)
	require.NotEmpty(t, w.Body.Bytes())
}
