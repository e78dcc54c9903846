package router

import (
	"net/http"
	"testing"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/ratelimit"
)

// BenchmarkServeLimited is BenchmarkServeHTTP for services with and without a limit of their rate, which no request exceeds.
func BenchmarkServeLimited(b *testing.B) {
	unbounded := ratelimit.Policy{Period: time.Nanosecond, Burst: 1 << 30}
	byService, byHeader := unbounded, unbounded
	byService.By = ratelimit.ByService
	byHeader.By, byHeader.Header = ratelimit.ByHeader, "X-Api-Key"
	for _, c := range []struct {
		name string
		rate *ratelimit.Limiter
	}{
		{"none", nil}, {"address", ratelimit.New(unbounded, nil)}, {"service", ratelimit.New(byService, nil)}, {"header", ratelimit.New(byHeader, nil)},
		{"shared", ratelimit.NewShared(unbounded, nil, "/s", ratelimit.NewSharing(nil))},
	} {
		b.Run(c.name, func(b *testing.B) {
			routes := benchRoutes(200)
			for _, r := range routes {
				r.Rate = c.rate
			}
			table, err := BuildTable(routes)
			if err != nil {
				b.Fatal(err)
			}
			rt := New(Config{AccessLog: func(*accesslog.Record) {}})
			rt.Publish(table)
			r, err := http.NewRequest(http.MethodGet, "http://host/team-1/service-1/a", nil)
			if err != nil {
				b.Fatal(err)
			}
			r.RemoteAddr = "192.0.2.1:5000"
			r.Header.Set("X-Api-Key", "0123456789abcdef0123456789abcdef")
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				rt.ServeHTTP(w, r)
			}
		})
	}
}
