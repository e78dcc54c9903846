package wasm_test

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// BenchmarkServe measures one request in a warm instance without the network: exchange, guest, reset.
func BenchmarkServe(b *testing.B) {
	for _, g := range []struct {
		name   string
		module func(testing.TB, string) []byte
	}{{"hello", guests.Wat}, {"gohello", guests.Go}, {"gonethttp", guests.Go}, {"gocmd", guests.Go}} {
		b.Run(g.name, func(b *testing.B) { benchmarkServe(b, g.module(b, g.name)) })
	}
}

// componentsDir is a directory of components for BenchmarkComponents: "-args -components DIR".
var componentsDir = flag.String("components", "", "directory of components to measure")

// BenchmarkComponents is BenchmarkServe for the components of a directory, which have names such as rust.wasm.
func BenchmarkComponents(b *testing.B) {
	files, err := filepath.Glob(filepath.Join(*componentsDir, "*.wasm"))
	require.NoError(b, err)
	if *componentsDir == "" || len(files) == 0 {
		b.Skip("there are no components: name their directory with -args -components DIR")
	}
	for _, file := range files {
		bin, err := os.ReadFile(file)
		require.NoError(b, err)
		b.Run(strings.TrimSuffix(filepath.Base(file), ".wasm"), func(b *testing.B) { benchmarkServe(b, bin) })
	}
}

func benchmarkServe(b *testing.B, bin []byte) {
	s := newServer(b, wasm.Config{})
	d := s.add("/x", bin)
	r := &router.Request{
		Request: httptest.NewRequestWithContext(b.Context(), "GET", "/x/hello/world", nil),
		Prefix:  "/x",
		Rest:    "/hello/world",
		Arrived: time.Now(),
	}
	w := &discardResponse{header: http.Header{}}
	var res accesslog.Result
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		res, r.Admitted = accesslog.Result{}, time.Now()
		if err := d.Serve(w, r, &res); err != nil {
			b.Fatal(err)
		}
	}
	require.Equal(b, http.StatusOK, w.status)
	b.ReportMetric(float64(res.DirtyBytes)/1024, "dirty-KiB")
}

// BenchmarkDeploy measures the deploy of a large module whose compiled code is cached, as a service and as middleware.
func BenchmarkDeploy(b *testing.B) {
	large := guests.Go(b, "gonethttp")
	small := guests.Wat(b, "hello")
	for name, spec := range map[string]services.Spec{
		"service":    module("/x", large),
		"middleware": module("/x", small, servicetest.WithMiddleware(nil, large)),
	} {
		b.Run(name, func(b *testing.B) {
			s := newServer(b, wasm.Config{})
			for b.Loop() {
				s.Deploy(spec)
			}
		})
	}
}

type discardResponse struct {
	header http.Header
	status int
}

func (w *discardResponse) Header() http.Header         { return w.header }
func (w *discardResponse) WriteHeader(status int)      { w.status = status }
func (w *discardResponse) Write(p []byte) (int, error) { return len(p), nil }
