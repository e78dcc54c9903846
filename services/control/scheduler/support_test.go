package scheduler

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services/schema"
)

// world has a catalogue, a clock and services that answer, in a bubble of package synctest.
type world struct {
	t  *testing.T
	fs durable.FS

	mu      sync.Mutex
	state   *registry.State
	changed chan struct{} // closed when the state has changed
	ahead   time.Duration // of the wall clock
	lines   []string      // one for each request
	serve   func(own router.Own, w http.ResponseWriter, r *http.Request) error
}

func newWorld(t *testing.T) *world {
	return &world{t: t, fs: durable.Dir(t.TempDir()), state: &registry.State{}, changed: make(chan struct{})}
}

// State implements Catalogue.
func (w *world) State() *registry.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// Watch implements Catalogue.
func (w *world) Watch(ctx context.Context) iter.Seq[*registry.State] {
	return func(yield func(*registry.State) bool) {
		for {
			w.mu.Lock()
			state, changed := w.state, w.changed
			w.mu.Unlock()
			if !yield(state) {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// now returns the time of the wall clock.
func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

// step sets the wall clock.
func (w *world) step(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += by
}

// deploy sets the schedules of a service. Without one, the service is removed.
func (w *world) deploy(key string, crons ...string) { w.deployKind("wasm", key, nil, crons...) }

func (w *world) deployKind(kind, key string, fields map[string]any, crons ...string) {
	now := w.now()
	w.mu.Lock()
	defer w.mu.Unlock()
	next := &registry.State{Generation: w.state.Generation + 1, Services: make(map[routekey.Key]registry.Service)}
	for k, s := range w.state.Services {
		next.Services[k] = s
	}
	k := routekey.MustParse(key)
	manifest := schema.With(registry.EmptyManifest, map[string]any{schema.FieldCron: crons})
	next.Services[k] = registry.Service{
		Key:     k,
		Current: registry.Version{Kind: kind, Manifest: schema.With(manifest, fields), Generation: next.Generation, Deployed: now},
	}
	if len(crons) == 0 {
		delete(next.Services, k)
	}
	w.state = next
	close(w.changed)
	w.changed = make(chan struct{})
}

// DispatchOwn implements Dispatcher.
func (w *world) DispatchOwn(own router.Own, to http.ResponseWriter, r *http.Request) error {
	w.mu.Lock()
	w.lines = append(w.lines, fmt.Sprintf("%s %s %s %s", time.Now().UTC().Format("15:04:05"), own.Key, r.Method, r.RequestURI))
	serve := w.serve
	w.mu.Unlock()
	if serve == nil {
		to.WriteHeader(http.StatusNoContent)
		return nil
	}
	return serve(own, to, r)
}

// requests returns the requests since the last call.
func (w *world) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.lines
	w.lines = nil
	return lines
}

// slow lets services take a time to answer.
func (w *world) slow(d time.Duration) {
	w.serve = func(_ router.Own, to http.ResponseWriter, r *http.Request) error {
		select {
		case <-time.After(d):
			to.WriteHeader(http.StatusOK)
			return nil
		case <-r.Context().Done():
			return context.Cause(r.Context())
		}
	}
}

// begin opens a scheduler and runs it.
func (w *world) begin(cfg Config) (s *Scheduler, end func()) {
	w.t.Helper()
	cfg.Catalogue, cfg.Dispatcher, cfg.Now, cfg.Functions = w, w, w.now, []string{"function"}
	if cfg.FS == nil {
		cfg.FS = w.fs
	}
	s, err := Open(cfg)
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	return s, func() {
		cancel()
		running.Wait()
		require.NoError(w.t, s.Close(context.Background()))
	}
}

// fallible is a directory whose writes can fail.
type fallible struct {
	durable.FS
	failing atomic.Bool
}

var errDisk = errors.New("the disk is gone")

func (f *fallible) Rename(from, to string) error {
	if f.failing.Load() {
		return errDisk
	}
	return f.FS.Rename(from, to)
}

// times returns the times of lines, without the rest.
func clock(lines []string) string {
	var times []string
	for _, line := range lines {
		times = append(times, line[:8])
	}
	return strings.Join(times, " ")
}
