package peer

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestPeersAnswerAlike requests each service from each kind, twice, so that shared
// instances have served a request before.
func TestPeersAnswerAlike(t *testing.T) {
	for service, c := range map[string]struct {
		module       func() []byte
		path, answer string
	}{
		Hello:     {func() []byte { return guests.Wat(t, "hello") }, "/hello", "hello from vespo\n"},
		SDKHello:  {func() []byte { return guests.SDK(t, "hello") }, "/sdkhello", "hello from /sdkhello\n"},
		GoNetHTTP: {func() []byte { return guests.Go(t, "gonethttp") }, "/gonethttp/hello/world", "hello world\n"},
	} {
		for _, kind := range []Kind{Native, Fresh, Shared, HostGo} {
			t.Run(service+"/"+string(kind), func(t *testing.T) {
				h, closer, err := Handler(t.Context(), Config{Kind: kind, Service: service, Module: c.module(), CacheDir: cache(t)})
				require.NoError(t, err)
				if closer != nil {
					defer func() { require.NoError(t, closer.Close()) }()
				}
				for range 2 {
					w := httptest.NewRecorder()
					h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.path, nil))
					require.Equal(t, http.StatusOK, w.Code)
					require.Equal(t, c.answer, w.Body.String())
					require.Contains(t, w.Header().Get("Content-Type"), "text/plain")
				}
			})
		}
	}
}

// TestIsolation checks the difference between the kinds: gonethttp counts the requests of its instance.
func TestIsolation(t *testing.T) {
	for kind, want := range map[Kind]int{Fresh: 1, Shared: 3} {
		require.Equal(t, want, hits(t, kind, 3), kind)
	}
	// Its pool is a sync.Pool, which may drop an instance at any time.
	require.Greater(t, hits(t, HostGo, 20), 1)
}

// hits sends n requests one after another and returns the highest count of an instance.
func hits(t *testing.T, kind Kind, n int) (most int) {
	t.Helper()
	h, closer, err := Handler(t.Context(), Config{Kind: kind, Module: guests.Go(t, "gonethttp"), CacheDir: cache(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, closer.Close()) }()
	for range n {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/hits", nil))
		require.Equal(t, http.StatusOK, w.Code)
		count, err := strconv.Atoi(strings.TrimSpace(w.Body.String()))
		require.NoError(t, err)
		most = max(most, count)
	}
	return most
}

func TestGuestsThatFail(t *testing.T) {
	h, closer, err := Handler(t.Context(), Config{Kind: Shared, Module: guests.Wat(t, "oom"), CacheDir: cache(t)})
	require.NoError(t, err)
	defer closer.Close()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/oom/1000000", nil))
	require.Equal(t, http.StatusInternalServerError, w.Code)
}

func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, Config{Kind: Native, Service: Hello}, in) }()
	addr, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	res, err := http.Get("http://" + addr[:len(addr)-1] + "/hello")
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "hello from vespo\n", string(body))
	cancel()
	require.NoError(t, <-done)
	require.ErrorContains(t, Serve(t.Context(), Config{Kind: "other"}, io.Discard), "other")
	require.ErrorContains(t, Serve(t.Context(), Config{Kind: Native, Service: "other"}, io.Discard), "other")
	require.Error(t, Serve(t.Context(), Config{Kind: Fresh, Module: []byte("no module"), CacheDir: cache(t)}, io.Discard))
}

// cache returns a directory for compiled code that is kept for the next run.
func cache(t *testing.T) string {
	base, err := os.UserCacheDir()
	if err != nil {
		return t.TempDir()
	}
	return filepath.Join(base, "vespo-bench", "code")
}
