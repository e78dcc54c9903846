package peer

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// limitPages is the maximum linear memory of a guest: 16 MiB, like Vespo's default.
const limitPages = 256

// stock serves a guest in unmodified wazero: code is compiled in advance, host functions avoid
// reflection, and everything reusable is kept between requests. It implements http.Handler.
type stock struct {
	runtime  wazero.Runtime          // immutable
	cache    wazero.CompilationCache // immutable
	compiled wazero.CompiledModule   // immutable
	config   wazero.ModuleConfig     // immutable
	fresh    bool                    // immutable

	mu   sync.Mutex
	idle []*instance // guarded by mu; LIFO
}

type instance struct {
	module api.Module
	handle api.Function
	stack  [1]uint64
}

func newStock(ctx context.Context, c Config) (*stock, error) {
	r, cache, err := newRuntime(ctx, c.CacheDir)
	if err != nil {
		return nil, err
	}
	s := &stock{runtime: r, cache: cache, fresh: c.Kind == Fresh, config: moduleConfig()}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return nil, err
	}
	if err := instantiateHandler(ctx, r); err != nil {
		return nil, err
	}
	if s.compiled, err = r.CompileModule(ctx, c.Module); err != nil {
		return nil, err
	}
	return s, nil
}

func newRuntime(ctx context.Context, cacheDir string) (wazero.Runtime, wazero.CompilationCache, error) {
	cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
	if err != nil {
		return nil, nil, err
	}
	config := wazero.NewRuntimeConfig().WithCompilationCache(cache).WithMemoryLimitPages(limitPages)
	return wazero.NewRuntimeWithConfig(ctx, config), cache, nil
}

// moduleConfig enables real clocks and random numbers, as a production host does.
func moduleConfig() wazero.ModuleConfig {
	return wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize").WithRandSource(rand.Reader).
		WithSysWalltime().WithSysNanotime().WithSysNanosleep()
}

// ServeHTTP answers with an instance. A failing guest makes the benchmark fail.
func (s *stock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in, err := s.acquire()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	x := &exchange{w: w, r: r, status: http.StatusOK}
	if err := in.handle.CallWithStack(context.WithValue(context.Background(), exchangeKey{}, x), in.stack[:]); err != nil {
		x.status = http.StatusInternalServerError
	}
	x.start()
	s.release(in)
}

func (s *stock) acquire() (*instance, error) {
	s.mu.Lock()
	if n := len(s.idle) - 1; n >= 0 {
		in := s.idle[n]
		s.idle = s.idle[:n]
		s.mu.Unlock()
		return in, nil
	}
	s.mu.Unlock()
	m, err := s.runtime.InstantiateModule(context.Background(), s.compiled, s.config)
	if err != nil {
		return nil, fmt.Errorf("instantiate: %w", err)
	}
	return &instance{module: m, handle: m.ExportedFunction("handle_request")}, nil
}

func (s *stock) release(in *instance) {
	if s.fresh {
		_ = in.module.Close(context.Background())
		return
	}
	s.mu.Lock()
	s.idle = append(s.idle, in)
	s.mu.Unlock()
}

// Close closes the runtime and the cache.
func (s *stock) Close() error {
	ctx := context.Background()
	if err := s.runtime.Close(ctx); err != nil {
		return err
	}
	return s.cache.Close(ctx)
}
