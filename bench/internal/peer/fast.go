package peer

import (
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/vespo-dev/vespo/bench/internal/work"
	"github.com/vespo-dev/vespo/bench/internal/work/shop"
)

// fast returns the handler of a service for fasthttp, which has no net/http handlers.
func fast(service string) (fasthttp.RequestHandler, error) {
	switch service {
	case Hello:
		return func(c *fasthttp.RequestCtx) {
			c.SetContentType("text/plain")
			c.SetBodyString(helloText)
		}, nil
	case work.Echo:
		return func(c *fasthttp.RequestCtx) {
			c.SetContentType("application/octet-stream")
			c.SetBody(c.PostBody())
		}, nil
	case work.JSON:
		return func(c *fasthttp.RequestCtx) {
			var o shop.Order
			if err := json.Unmarshal(c.PostBody(), &o); err != nil {
				c.Error(err.Error(), fasthttp.StatusBadRequest)
				return
			}
			c.SetContentType("application/json")
			_ = json.NewEncoder(c).Encode(shop.Add(&o)) // writes to memory
		}, nil
	}
	return nil, fmt.Errorf("no service is called %q", service)
}

// serveFast serves until the listener is closed.
func serveFast(service string, l net.Listener) error {
	h, err := fast(service)
	if err != nil {
		return err
	}
	s := &fasthttp.Server{Handler: h, ReadTimeout: time.Minute}
	return s.Serve(l)
}
