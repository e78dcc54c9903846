// Command wasmtime serves an http-wasm guest in wasmtime, by its Go binding: a new store and instance for each request. It is a module
// of its own, as wasmtime is 200 MB. The binding has no setting for wasmtime's pooling allocator; memory is initialised by copy-on-write.
//
// It prints its address, and ends with its standard input.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v37"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: wasmtime MODULE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "wasmtime:", err)
		os.Exit(1)
	}
}

// run serves a module until the input ends.
func run(file string, in io.Reader, out io.Writer) error {
	h, err := newHost(file)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() { // ends with the input
		defer close(ended)
		_, _ = io.Copy(io.Discard, in)
		_ = s.Shutdown(context.Background())
	}()
	fmt.Fprintln(out, l.Addr())
	if err := s.Serve(l); err != http.ErrServerClosed {
		return err
	}
	<-ended
	return nil
}

// host serves a module. It implements http.Handler.
type host struct {
	engine  *wasmtime.Engine // immutable
	module  *wasmtime.Module // immutable
	linkers sync.Pool        // of *linked
}

func newHost(file string) (*host, error) {
	config := wasmtime.NewConfig()
	config.SetMemoryInitCOWSet(true)
	config.SetCraneliftOptLevel(wasmtime.OptLevelSpeed)
	h := &host{engine: wasmtime.NewEngineWithConfig(config)}
	var err error
	h.module, err = wasmtime.NewModuleFromFile(h.engine, file)
	return h, err
}

// ServeHTTP makes an instance, and throws it away after the request.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l, ok := h.linkers.Get().(*linked)
	if !ok {
		var err error
		if l, err = newLinked(h.engine); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	l.exchange = exchange{w: w, r: r, status: http.StatusOK}
	err := l.handle(h)
	if err != nil && !l.exchange.started {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	l.exchange.start()
	h.linkers.Put(l)
}

func (l *linked) handle(h *host) error {
	store := wasmtime.NewStore(h.engine)
	defer store.Close()
	store.SetWasi(wasmtime.NewWasiConfig())
	store.Limiter(16<<20, -1, -1, -1, -1)
	instance, err := l.linker.Instantiate(store, h.module)
	if err != nil {
		return err
	}
	if initialize := instance.GetFunc(store, "_initialize"); initialize != nil {
		if _, err := initialize.Call(store); err != nil {
			return err
		}
	}
	handle := instance.GetFunc(store, "handle_request")
	if handle == nil {
		return fmt.Errorf("the module has no handle_request")
	}
	_, err = handle.Call(store)
	return err
}
