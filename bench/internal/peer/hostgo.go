package peer

import (
	"context"
	"net/http"

	"github.com/http-wasm/http-wasm-host-go/handler"
	hostgo "github.com/http-wasm/http-wasm-host-go/handler/nethttp"
	"github.com/tetratelabs/wazero"
)

// hostGo serves a guest in http-wasm's own Go host.
type hostGo struct {
	http.Handler
	middleware hostgo.Middleware
	cache      wazero.CompilationCache
}

func newHostGo(ctx context.Context, c Config) (*hostGo, error) {
	h := &hostGo{}
	open := func(ctx context.Context) (r wazero.Runtime, err error) {
		r, h.cache, err = newRuntime(ctx, c.CacheDir)
		return r, err
	}
	var err error
	h.middleware, err = hostgo.NewMiddleware(ctx, c.Module, handler.Runtime(open), handler.ModuleConfig(moduleConfig()))
	if err != nil {
		return nil, err
	}
	h.Handler = h.middleware.NewHandler(ctx, http.NotFoundHandler())
	return h, nil
}

// Close closes the middleware and the cache.
func (h *hostGo) Close() error {
	ctx := context.Background()
	if err := h.middleware.Close(ctx); err != nil {
		return err
	}
	return h.cache.Close(ctx)
}
