package deploy

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// stocked returns a directory with the services /a, /b and /c, the first with a history.
func stocked(t *testing.T) string {
	dir := t.TempDir()
	h := booted(t, dir, nil)
	h.add(routekey.MustParse("/a"), "zero")
	h.add(routekey.MustParse("/a"), "one")
	h.add(routekey.MustParse("/b"), "two")
	h.add(routekey.MustParse("/c"), "three")
	h.end()
	return dir
}

func TestBootServesTheCatalogue(t *testing.T) {
	dir := stocked(t)
	h := unbooted(t, dir, nil)
	status, _ := h.get("/a")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.NoError(t, h.Boot(context.Background()))
	for path, want := range map[string]string{"/a": "one", "/b": "two", "/c": "three"} {
		h.requireServed(path, want)
	}
	for _, s := range h.kind.specs {
		require.Equal(t, registry.DigestOf(moduleOf(s)), s.Blobs[0].Digest)
	}
	require.ErrorIs(t, h.Boot(context.Background()), ErrBooted)
	_, err := h.Rollback(context.Background(), routekey.MustParse("/a"))
	require.NoError(t, err)
	h.requireServed("/a", "zero")
}

func TestNothingIsAcceptedBeforeBoot(t *testing.T) {
	ctx := context.Background()
	h := unbooted(t, t.TempDir(), nil)
	_, err := h.Add(ctx, spec(routekey.MustParse("/a"), "one"))
	require.ErrorIs(t, err, ErrNotReady)
	requireKind(t, problem.NotReady, err)
	_, err = h.Rollback(ctx, routekey.MustParse("/a"))
	require.ErrorIs(t, err, ErrNotReady)
	require.ErrorIs(t, h.Remove(ctx, routekey.MustParse("/a")), ErrNotReady)
	require.False(t, h.Ready())
	require.Empty(t, h.List())
}

// TestBootWithBrokenServiceServesTheOthers breaks /b in several ways, and repairs it in several ways.
func TestBootWithBrokenServiceServesTheOthers(t *testing.T) {
	digest := registry.DigestOf([]byte("two"))
	only := func(text string, err error) func(*Config) {
		return func(c *Config) { c.Kinds[0] = choosyKind{textKind: c.Kinds[0].(*textKind), text: text, err: err} }
	}
	blob := func(dir string) string { return filepath.Join(dir, "blobs", "sha256", digest.Hex()) }
	for name, tc := range map[string]struct {
		damage func(dir string) error
		change func(*Config)
		want   error
	}{
		"blob rotten":     {func(dir string) error { return os.WriteFile(blob(dir), []byte("tw0"), 0o600) }, nil, registry.ErrBlobCorrupt},
		"blob missing":    {func(dir string) error { return os.Remove(blob(dir)) }, nil, registry.ErrBlobMissing},
		"not preparable":  {nil, only("two", errInjected), errInjected},
		"prepare panics":  {nil, only("two", nil), ErrPanic},
		"limits narrowed": {nil, only("two", problem.New(problem.OutOfMemory, "too much")), ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			dir := stocked(t)
			if tc.damage != nil {
				require.NoError(t, tc.damage(dir))
			}
			var mu sync.Mutex
			reported := make(map[routekey.Key]error)
			h := unbooted(t, dir, func(c *Config) {
				if tc.change != nil {
					tc.change(c)
				}
				c.Events.Unavailable = func(p routekey.Key, err error) {
					mu.Lock()
					defer mu.Unlock()
					reported[p] = err
				}
			})
			manifest := h.onDisk()
			require.NoError(t, h.Boot(context.Background()))
			require.Equal(t, manifest, h.onDisk())
			require.Len(t, reported, 1)
			require.ErrorIs(t, reported[routekey.MustParse("/b")], tc.want)
			h.requireServed("/a", "one")
			h.requireServed("/c", "three")
			status, body := h.get("/b/x")
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Contains(t, body, problem.NotReady.Type())
			require.NotContains(t, body, "sha256", "internals stay in the log")

			entry, err := h.Inspect(routekey.MustParse("/b"))
			require.NoError(t, err)
			require.Equal(t, services.StateFailed, entry.Status.State)
			require.ErrorIs(t, entry.Problem, tc.want)
			require.Equal(t, digest, entry.Service.Current.Blobs[0].Digest, "it stays in the catalogue")

			require.False(t, h.add(routekey.MustParse("/b"), "mended").Created)
			h.requireServed("/b", "mended")
			if tc.damage != nil {
				h.add(routekey.MustParse("/b"), "two")
				h.requireServed("/b", "two")
			}
			require.NoError(t, h.Remove(context.Background(), routekey.MustParse("/b")))
		})
	}
}

// choosyKind fails to prepare one text.
type choosyKind struct {
	*textKind
	text string
	err  error // nil: panics
}

func (k choosyKind) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	switch {
	case string(moduleOf(s)) != k.text:
		return k.textKind.Prepare(ctx, s)
	case k.err == nil:
		panic("injected")
	}
	return nil, k.err
}

func TestBootKeepsWhatHasNoKindOrNoRouteAnyMore(t *testing.T) {
	dir := t.TempDir()
	h := unbooted(t, dir, nil)
	ctx := context.Background()
	digest, release, err := h.cfg.Registry.PutBlob(ctx, []byte("one"))
	require.NoError(t, err)
	base := h.cfg.Registry.State()
	v := registry.Version{Kind: "text", Blobs: []registry.Blob{{Field: "module", Digest: digest, SizeBytes: 3}}}
	next, _ := base.Put(routekey.MustParse("/a"), v)
	next, _ = next.Put(routekey.Stored("/services/old"), v)
	v.Kind = "gone"
	next, _ = next.Put(routekey.MustParse("/b"), v)
	require.NoError(t, h.cfg.Registry.Commit(ctx, base, next))
	release()

	require.NoError(t, h.Boot(ctx))
	h.requireServed("/a", "one")
	status, _ := h.get("/b")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Len(t, h.List(), 3)
	for _, key := range []routekey.Key{routekey.MustParse("/b"), routekey.Stored("/services/old")} {
		entry, err := h.Inspect(key)
		require.NoError(t, err)
		require.ErrorIs(t, entry.Problem, ErrInvalid)
	}
	h.add(routekey.MustParse("/c"), "two") // builds a table without the unroutable service
	require.NoError(t, h.Remove(ctx, routekey.Stored("/services/old")))
	require.Len(t, h.List(), 3)
}

func TestBootGivenUpLeavesNothing(t *testing.T) {
	dir := stocked(t)
	h := unbooted(t, dir, func(c *Config) { c.PrepareParallel = 1 })
	ctx, cancel := context.WithCancel(context.Background())
	h.kind.failAt("prepare", func(context.Context) error {
		if h.kind.openCount() == 1 {
			cancel()
		}
		return nil
	})
	require.ErrorIs(t, h.Boot(ctx), context.Canceled)
	require.False(t, h.Ready())
	h.end() // checks that nothing is left open
}

func TestCloseBreaksBootOff(t *testing.T) {
	h := unbooted(t, stocked(t), nil)
	begun := make(chan struct{}, 3)
	h.kind.failAt("prepare", func(ctx context.Context) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	result := make(chan error, 1)
	go func() { result <- h.Boot(context.Background()) }()
	<-begun
	h.end()
	require.ErrorIs(t, <-result, ErrClosed)
}

func TestNewPanicsOnMistakesOfTheProgram(t *testing.T) {
	require.Panics(t, func() { New(Config{}) })
	require.Panics(t, func() {
		h := unbooted(t, t.TempDir(), nil)
		cfg := h.cfg
		cfg.Kinds = append(cfg.Kinds, cfg.Kinds[0])
		New(cfg)
	})
}
