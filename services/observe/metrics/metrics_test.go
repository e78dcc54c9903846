package metrics

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// The histogram counts as that of the client library does.
func TestHistogramIsThatOfTheLibrary(t *testing.T) {
	upper := make([]float64, 0, classicBounds)
	for _, b := range bounds() {
		upper = append(upper, b.Seconds())
	}
	theirs := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:                         "h",
		Help:                         "h",
		Buckets:                      upper,
		NativeHistogramBucketFactor:  1.2,
		NativeHistogramZeroThreshold: math.Ldexp(1, floorExponent),
	})
	var ours durations
	random := rand.New(rand.NewPCG(1, 2))
	observe := func(d time.Duration) {
		ours.observe(d)
		theirs.Observe(d.Seconds())
	}
	for exponent := floorExponent; exponent <= lastExponent-1; exponent++ { // the bounds, and around them
		for i := range perDouble {
			at := time.Duration(math.Round(math.Exp2(float64(exponent)+float64(i)/perDouble) * 1e9))
			for d := at - 1; d <= at+1; d++ {
				observe(d)
			}
		}
	}
	for _, d := range append(upper, 0, 511) {
		observe(time.Duration(d * 1e9))
	}
	for range 10_000 {
		observe(time.Duration(math.Exp(random.Float64() * 26)))
	}
	var want dto.Metric
	require.NoError(t, theirs.Write(&want))
	got := ours.read(1, 0, want.Histogram.CreatedTimestamp)
	require.InDelta(t, want.Histogram.GetSampleSum(), got.GetSampleSum(), 1e-3)
	got.SampleSum = want.Histogram.SampleSum
	require.Equal(t, want.Histogram.String(), got.String())
}

func TestHistogramAtItsEnds(t *testing.T) {
	var h durations
	require.Equal(t, "offset:0 length:0", strings.ReplaceAll(h.read(1, 0, nil).PositiveSpan[0].String(), "  ", " "))
	for _, d := range []time.Duration{-1, 0, math.MaxInt64} {
		h.observe(d)
	}
	read := h.read(1, 0, timestamppb.Now())
	require.EqualValues(t, 3, read.GetSampleCount())
	require.EqualValues(t, 2, read.GetZeroCount())
	require.Equal(t, []int64{1}, read.PositiveDelta)
	require.EqualValues(t, lastExponent*perDouble, read.PositiveSpan[0].GetOffset())
}

func routeOf(service string) *router.Route {
	return router.NewRoute(router.Binding{
		Key:     routekey.Key{Prefix: routekey.Prefix(service)},
		Service: service,
		Handler: router.HandlerFunc(nil),
	})
}

func table(t *testing.T, routes ...*router.Route) *router.Table {
	t.Helper()
	built, err := router.BuildTable(routes)
	require.NoError(t, err)
	return built
}

func names(r *Requests) (names []string) {
	for _, s := range r.snapshot() {
		names = append(names, s.version.service)
	}
	return names
}

// Series follow the catalogue: those of a removed service stay until they were scraped and its requests are over.
func TestSeriesFollowTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRequests()
		a, b := routeOf("/a"), routeOf("/b")
		r.Follow(table(t, a, b))
		require.Equal(t, []string{"", "/a", "/b", "services"}, names(r))
		r.Listen(&accesslog.Record{Service: "/a"})
		r.Follow(table(t, b))
		r.Listen(&accesslog.Record{Service: "/a"})
		time.Sleep(2 * linger)
		require.Contains(t, names(r), "/a", "it has not drained")
		a.Retire()
		require.NotContains(t, names(r), "/a")
		require.Zero(t, r.gone)
		r.Listen(&accesslog.Record{Service: "/a"})
		require.EqualValues(t, 1, r.snapshot()[0].latency.count(), "counted as a request without a service")

		b.Retire()
		r.Follow(table(t))
		require.Contains(t, names(r), "/b")
		again := routeOf("/b")
		r.Follow(table(t, again))
		time.Sleep(2 * linger)
		require.Contains(t, names(r), "/b", "it has returned")
	})
}

// The versions that share the requests of a service have series of their own.
func TestSeriesOfASplit(t *testing.T) {
	key := routekey.Key{Prefix: "/a"}
	arm := func(number uint64) router.Arm {
		route := router.NewRoute(router.Binding{
			Key:     key,
			Service: "/a",
			Number:  number,
			Handler: router.HandlerFunc(nil),
		})
		return router.Arm{Route: route, Weight: router.Whole / 2}
	}
	arms := []router.Arm{arm(1), arm(2)}
	r := NewRequests()
	r.Follow(table(t, router.NewSplit(key, router.Split{Arms: arms, Own: arms[0].Route})))
	for number := range uint64(3) {
		r.Listen(&accesslog.Record{Service: "/a", Number: number})
	}
	got := map[version]uint64{}
	for _, s := range r.snapshot() {
		got[s.version] = s.latency.count()
	}
	require.Equal(t, map[version]uint64{{}: 1, {service: "services"}: 0, {"/a", 1}: 1, {"/a", 2}: 1}, got)
}

func TestSeriesOfRemovedServicesAreBounded(t *testing.T) {
	r := NewRequests()
	const generations = 5
	for i := range generations {
		var routes []*router.Route
		for j := range maxLinger / 2 {
			routes = append(routes, routeOf(fmt.Sprintf("/%d-%d", i, j)))
		}
		r.Follow(table(t, routes...))
	}
	require.Len(t, names(r), maxLinger+maxLinger/2+2)
	require.Contains(t, names(r), fmt.Sprintf("/%d-0", generations-2), "the newest are kept")
}

func record(service string) *accesslog.Record {
	return &accesslog.Record{
		Service:   service,
		Status:    200,
		QueueWait: time.Millisecond,
		TTLB:      3 * time.Millisecond,
		BytesIn:   10,
		BytesOut:  20,
		Result: accesslog.Result{
			Outcome:      accesslog.OutcomeOK,
			Start:        accesslog.StartWarm,
			DirtyBytes:   4096,
			PeakBytes:    1 << 20,
			GuestTime:    2 * time.Millisecond,
			KVOperations: 3,
		},
	}
}

func TestARequestAllocatesNothing(t *testing.T) {
	r := NewRequests()
	r.Follow(table(t, routeOf("/a")))
	rec := record("/a")
	r.Listen(rec)
	require.Zero(t, testing.AllocsPerRun(100, func() { r.Listen(rec) }))
}

// Concurrent requests, changes and scrapes lose no request.
func TestConcurrentRequestsAreAllCounted(t *testing.T) {
	const workers, each = 4, 1000
	r := NewRequests()
	a := routeOf("/a")
	r.Follow(table(t, a))
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range each {
				r.Listen(record("/a"))
			}
		})
	}
	all.Go(func() {
		for i := range 100 {
			r.Follow(table(t, a, routeOf(fmt.Sprintf("/other%d", i))))
			names(r)
		}
	})
	all.Wait()
	for _, s := range r.snapshot() {
		if s.version.service == "/a" {
			require.EqualValues(t, workers*each, s.latency.count())
			require.EqualValues(t, workers*each, s.requests[0][2].Load())
		}
	}
}

// newScraped returns a Handler with the metrics of requests.
func newScraped(r *Requests) *Handler {
	h := NewHandler(prometheus.NewRegistry())
	h.Register([]Group{r.Group(), h.Group()})
	return h
}

func get(t *testing.T, h *Handler, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/services/metrics", nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	require.NoError(t, h.Serve(w, req))
	return w
}

func TestFormatsAreNegotiated(t *testing.T) {
	r := NewRequests()
	r.Follow(table(t, routeOf("/a")))
	r.Listen(record("/a"))
	quick := record("/a")
	quick.QueueWait = 0
	h := newScraped(r)
	r.Listen(quick)
	text := get(t, h)
	require.Contains(t, text.Body.String(), `vespo_request_queue_seconds_bucket{service="/a",version="0",le="0.0001"} 1`)
	require.Contains(t, text.Body.String(), `vespo_request_queue_seconds_count{service="/a",version="0"} 2`)
	require.Contains(t, text.Header().Get("Content-Type"), "text/plain")
	require.Contains(t, text.Body.String(), `vespo_requests_total{service="/a",version="0",outcome="ok",code="2xx"} 2`)
	require.Contains(t, text.Body.String(), `vespo_request_duration_seconds_bucket{service="/a",version="0",le="0.005"} 2`)

	open := get(t, h, "Accept", "application/openmetrics-text; version=1.0.0")
	require.Contains(t, open.Header().Get("Content-Type"), "application/openmetrics-text")
	require.True(t, strings.HasSuffix(open.Body.String(), "# EOF\n"))

	packed := get(t, h, "Accept-Encoding", "deflate, gzip;q=0.5")
	require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
	z, err := gzip.NewReader(packed.Body)
	require.NoError(t, err)
	plain, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Contains(t, string(plain), "vespo_requests_total")
	require.Empty(t, get(t, h, "Accept-Encoding", "gzip;q=0, br").Header().Get("Content-Encoding"))

	const proto = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
	binary := get(t, h, "Accept", proto)
	dec := expfmt.NewDecoder(binary.Body, expfmt.ResponseFormat(binary.Header()))
	native := 0
	for {
		var f dto.MetricFamily
		if err := dec.Decode(&f); err != nil {
			require.ErrorIs(t, err, io.EOF)
			break
		}
		if f.GetName() == "vespo_request_duration_seconds" {
			native += len(f.Metric[0].Histogram.PositiveSpan)
			require.NotNil(t, f.Metric[0].Histogram.CreatedTimestamp)
		}
	}
	require.Equal(t, 1, native)
}

// Each outcome of the access log has a name in metrics.
func TestOutcomesAreThoseOfTheAccessLog(t *testing.T) {
	source, err := os.ReadFile("../../../router/accesslog/record.go")
	require.NoError(t, err)
	all := regexp.MustCompile(`(?m)^\tOutcome\w+ +Outcome = "([^"]+)"`).FindAllSubmatch(source, -1)
	require.Len(t, all, outcomes)
	for _, match := range all {
		outcome := accesslog.Outcome(match[1])
		require.Equal(t, outcome, outcomeNames()[outcomeIndex(outcome)])
	}
}

// A scrape of many services works, and holds one metric at a time.
func TestScrapeOfManyServices(t *testing.T) {
	const services = 10_000
	r := NewRequests()
	routes := make([]*router.Route, 0, services)
	for i := range services {
		routes = append(routes, routeOf(fmt.Sprintf("/service-%d", i)))
	}
	r.Follow(table(t, routes...))
	for _, route := range routes {
		r.Listen(record(route.Service))
	}
	h := newScraped(r)
	began := time.Now()
	w := get(t, h, "Accept-Encoding", "gzip")
	t.Logf("%d services: %v, %d bytes compressed", services, time.Since(began), w.Body.Len())
	z, err := gzip.NewReader(w.Body)
	require.NoError(t, err)
	var text bytes.Buffer
	_, err = io.Copy(&text, z)
	require.NoError(t, err)
	t.Logf("%d bytes", text.Len())
	require.Equal(t, services, bytes.Count(text.Bytes(), []byte("\nvespo_requests_total{")))
	require.Equal(t, services, bytes.Count(text.Bytes(), []byte("\nvespo_request_duration_seconds_count{")))
}

func BenchmarkListen(b *testing.B) {
	r := NewRequests()
	built, err := router.BuildTable([]*router.Route{routeOf("/a")})
	require.NoError(b, err)
	r.Follow(built)
	rec := record("/a")
	b.ReportAllocs()
	for b.Loop() {
		r.Listen(rec)
	}
}
