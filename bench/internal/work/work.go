// Package work returns the handlers of the workloads: the packages below it, which are compiled for this machine here, and to
// WebAssembly in the guests.
package work

import (
	"net/http"

	"github.com/vespo-dev/vespo/bench/internal/work/echo"
	"github.com/vespo-dev/vespo/bench/internal/work/hello"
	"github.com/vespo-dev/vespo/bench/internal/work/markdown"
	"github.com/vespo-dev/vespo/bench/internal/work/nea"
	"github.com/vespo-dev/vespo/bench/internal/work/outbound"
	"github.com/vespo-dev/vespo/bench/internal/work/page"
	"github.com/vespo-dev/vespo/bench/internal/work/picture"
	"github.com/vespo-dev/vespo/bench/internal/work/shop"
	"github.com/vespo-dev/vespo/bench/internal/work/sieve"
)

// upstreams is the number of connections to an upstream that are kept.
const upstreams = 256

// Names of the services, which are those of the guests.
const (
	Mux      = "mux"
	Echo     = "echo"
	JSON     = "json"
	HTML     = "html"
	Markdown = "markdown"
	Resize   = "resize"
	Sieve    = "sieve"
	Fetch    = "fetch"
	Static   = "static"
	CSV      = "csv"
	Alloc    = "alloc"
)

// Handler returns the handler of a service, and false if there is none.
func Handler(service string) (http.Handler, bool) {
	switch service {
	case Mux:
		return hello.New(), true
	case Echo:
		return http.HandlerFunc(echo.Serve), true
	case JSON:
		return http.HandlerFunc(shop.Serve), true
	case HTML:
		return page.New(), true
	case Markdown:
		return http.HandlerFunc(markdown.Serve), true
	case Resize:
		return http.HandlerFunc(picture.Serve), true
	case Sieve:
		return http.HandlerFunc(sieve.Serve), true
	case Fetch:
		return outbound.Handler(&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: upstreams}}), true
	case Static:
		return nea.Static(nea.File()), true
	case CSV:
		return http.HandlerFunc(nea.Path), true
	case Alloc:
		return http.HandlerFunc(nea.Allocate), true
	}
	return nil, false
}
