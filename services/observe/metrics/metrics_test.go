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
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/internal/latency"
	"github.com/vespo-dev/vespo/services/observe/tally"
	"github.com/vespo-dev/vespo/services/observe/tally/tallytest"
)

// The histogram counts as that of the client library does.
func TestHistogramIsThatOfTheLibrary(t *testing.T) {
	upper := make([]float64, 0, tally.Bounds)
	for _, b := range tally.ClassicBounds() {
		upper = append(upper, b.Seconds())
	}
	theirs := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:                         "h",
		Help:                         "h",
		Buckets:                      upper,
		NativeHistogramBucketFactor:  1.1,
		NativeHistogramZeroThreshold: math.Ldexp(1, latency.FloorExponent),
	})
	var ours tally.Durations
	random := rand.New(rand.NewPCG(1, 2))
	observe := func(d time.Duration) {
		ours.Observe(d)
		theirs.Observe(d.Seconds())
	}
	for exponent := latency.FloorExponent; exponent <= 10; exponent++ { // the bounds, and around them
		for i := range latency.PerDouble {
			at := time.Duration(math.Round(math.Exp2(float64(exponent)+float64(i)/latency.PerDouble) * 1e9))
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
	got := readHistogram(&ours, 1, 0, want.Histogram.CreatedTimestamp)
	require.InDelta(t, want.Histogram.GetSampleSum(), got.GetSampleSum(), 1e-3)
	got.SampleSum = want.Histogram.SampleSum
	require.Equal(t, want.Histogram.String(), got.String())
}

func TestHistogramAtItsEnds(t *testing.T) {
	var h tally.Durations
	require.Equal(t, "offset:0 length:0", strings.ReplaceAll(readHistogram(&h, 1, 0, nil).PositiveSpan[0].String(), "  ", " "))
	for _, d := range []time.Duration{-1, 0, math.MaxInt64} {
		h.Observe(d)
	}
	read := readHistogram(&h, 1, 0, timestamppb.Now())
	require.EqualValues(t, 3, read.GetSampleCount())
	require.EqualValues(t, 2, read.GetZeroCount())
	require.Equal(t, []int64{1}, read.PositiveDelta)
	require.EqualValues(t, latency.Buckets-1+latency.FloorExponent*latency.PerDouble, read.PositiveSpan[0].GetOffset())
}

func record(service string) *accesslog.Record {
	return &accesslog.Record{
		Service:    service,
		Generation: 1,
		Status:     200,
		QueueWait:  time.Millisecond,
		TTLB:       3 * time.Millisecond,
		BytesIn:    10,
		BytesOut:   20,
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

// newScraped returns a Handler with the metrics of requests.
func newScraped(counts *tallytest.Services) *Handler {
	h := NewHandler(prometheus.NewRegistry())
	h.Register([]Group{Requests(counts.Tally), h.Group()})
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
	r := tallytest.New(t)
	r.Listen(record("/a"))
	quick := record("/a")
	quick.QueueWait = 0
	quick.Start, quick.ColdTime = accesslog.StartCold, 20*time.Millisecond
	h := newScraped(r)
	r.Listen(quick)
	text := get(t, h)
	require.Contains(t, text.Body.String(), `vespo_request_queue_seconds_bucket{service="/a",version="0",le="0.0001"} 1`)
	require.Contains(t, text.Body.String(), `vespo_request_queue_seconds_count{service="/a",version="0"} 2`)
	require.Contains(t, text.Body.String(), `vespo_guest_cold_start_seconds_bucket{service="/a",version="0",le="0.01"} 0`)
	require.Contains(t, text.Body.String(), `vespo_guest_cold_start_seconds_bucket{service="/a",version="0",le="0.05"} 1`)
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

// A scrape of many services works, and holds one metric at a time.
func TestScrapeOfManyServices(t *testing.T) {
	const services = 10_000
	r := tallytest.New(t)
	var all []*accesslog.Record
	for i := range services {
		all = append(all, record(fmt.Sprintf("/service-%d", i)))
	}
	r.Add(all...)
	for _, rec := range all {
		r.Listen(rec)
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
