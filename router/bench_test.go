package router

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
)

var benchSizes = []int{1, 200, 5000}

func benchRoutes(n int) []*Route {
	gate := admission.NewGate(64)
	limiter := gate.NewLimiter(admission.Limits{})
	routes := make([]*Route, n)
	for i := range routes {
		routes[i] = NewRoute(Binding{
			Key:     routekey.Key{Prefix: routekey.Prefix(fmt.Sprintf("/team-%d/service-%d", i%40, i))},
			Service: fmt.Sprint(i),
			Limiter: limiter,
			Handler: HandlerFunc(func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
				w.WriteHeader(http.StatusNoContent)
				return nil
			}),
		})
	}
	return routes
}

func BenchmarkBuildTable(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			routes := benchRoutes(n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := BuildTable(routes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	paths := []struct{ name, suffix string }{{"exact", ""}, {"deep", "/a/b/c?"}, {"miss", "x"}}
	for _, n := range benchSizes {
		table, err := BuildTable(benchRoutes(n))
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range paths {
			b.Run(fmt.Sprintf("services=%d/%s", n, p.name), func(b *testing.B) {
				path := string(table.routes[n/2].Key.Prefix) + p.suffix
				b.ReportAllocs()
				for b.Loop() {
					table.Lookup(path, nil)
				}
			})
		}
	}
}

// discard is a minimal http.ResponseWriter, so that BenchmarkServeHTTP measures only the router.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func BenchmarkServeHTTP(b *testing.B) {
	table, err := BuildTable(benchRoutes(200))
	if err != nil {
		b.Fatal(err)
	}
	rt := New(Config{AccessLog: func(*accesslog.Record) {}})
	rt.Publish(table)
	r, err := http.NewRequest(http.MethodGet, "http://host/team-1/service-1/a", nil)
	if err != nil {
		b.Fatal(err)
	}
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		rt.ServeHTTP(w, r)
	}
}
