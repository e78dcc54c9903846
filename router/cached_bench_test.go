package router

import (
	"io"
	"net/http"
	"testing"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/cache"
)

// BenchmarkServeCached serves a small answer without a cache, from one, and past one.
func BenchmarkServeCached(b *testing.B) {
	serve := func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		w.Header()["Cache-Control"] = []string{"max-age=86400"}
		_, err := io.WriteString(w, "hello")
		return err
	}
	for _, c := range []struct {
		name, control string
		cached        bool
	}{{"none", "", false}, {"hit", "", true}, {"bypass", "no-store", true}} {
		b.Run(c.name, func(b *testing.B) {
			binding := binding("/a", serve)
			if c.cached {
				binding.Cache = cache.NewStore(1 << 20).Open("/a")
				defer binding.Cache.Close()
			}
			table, err := BuildTable([]*Route{NewRoute(binding)})
			if err != nil {
				b.Fatal(err)
			}
			rt := New(Config{AccessLog: func(*accesslog.Record) {}})
			rt.Publish(table)
			r, err := http.NewRequest(http.MethodGet, "http://host/a", nil)
			if err != nil {
				b.Fatal(err)
			}
			r.RequestURI, r.RemoteAddr = "/a", "192.0.2.1:5000"
			if c.control != "" {
				r.Header.Set("Cache-Control", c.control)
			}
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				rt.ServeHTTP(w, r)
			}
		})
	}
}
