// Package peer contains the servers compared with Vespo: the same services natively on
// net/http, and the same guests in stock wazero and in http-wasm's own host.
package peer

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Kind is a type of server.
type Kind string

// The kinds.
const (
	Native Kind = "native" // a Go handler, no guest
	Fresh  Kind = "fresh"  // stock wazero, a new instance for each request
	Shared Kind = "shared" // stock wazero, instances that keep the state of earlier requests: no isolation
	Fast   Kind = "fast"   // a handler of github.com/valyala/fasthttp, no guest
	HostGo Kind = "hostgo" // github.com/http-wasm/http-wasm-host-go, which shares instances too
)

// Config configures a server.
type Config struct {
	Kind     Kind
	Service  string // for Native and Fast: one of the services of this package or of package work
	Module   []byte // for all other kinds
	CacheDir string // for compiled code
}

// Handler returns the handler for a Config. The closer is nil if there is nothing to close.
func Handler(ctx context.Context, c Config) (http.Handler, io.Closer, error) {
	switch c.Kind {
	case Native:
		h, err := native(c.Service)
		return h, nil, err
	case Fresh, Shared:
		h, err := newStock(ctx, c)
		return h, h, err
	case HostGo:
		h, err := newHostGo(ctx, c)
		return h, h, err
	}
	return nil, nil, fmt.Errorf("no peer is called %q", c.Kind)
}

// Serve serves on a free port of the loopback interface until ctx is done. The address is written to out, as one line.
func Serve(ctx context.Context, c Config, out io.Writer) error {
	if c.Kind == Fast {
		return listen(ctx, out, func(l net.Listener) error { return serveFast(c.Service, l) })
	}
	h, closer, err := Handler(ctx, c)
	if err != nil {
		return err
	}
	if closer != nil {
		defer closer.Close() // the process exits afterwards
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, Protocols: protocols()}
	return listen(ctx, out, s.Serve)
}

// protocols are HTTP/1.1, and HTTP/2 for clients that begin with it, as on the public listener of Vespo.
func protocols() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}

// listen serves on a listener, which it closes when ctx is done.
func listen(ctx context.Context, out io.Writer, serve func(net.Listener) error) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close() // it may be closed
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	fmt.Fprintln(out, l.Addr())
	if err := serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}
