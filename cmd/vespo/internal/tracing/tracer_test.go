package tracing

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/heaptest"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

const sampledParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func open(tb testing.TB, log *slog.Logger, url string, more ...string) *Tracer {
	tb.Helper()
	s := read(append([]string{"EXPORTER_OTLP_ENDPOINT=" + url, "BSP_SCHEDULE_DELAY=1"}, more...)...)
	require.Empty(tb, s.Warnings)
	t, err := Open(tb.Context(), s, "1.2.3", log)
	require.NoError(tb, err)
	return t
}

// TestEndIsBounded checks that a receiver that never answers cannot keep the server, and that the spans are counted.
func TestEndIsBounded(t *testing.T) {
	asked, release := make(chan struct{}, 8), make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	defer receiver.Close()
	defer close(release)
	tracer := open(t, slog.New(slog.DiscardHandler), receiver.URL, "BSP_MAX_QUEUE_SIZE=2", "BSP_MAX_EXPORT_BATCH_SIZE=1")
	tracer.flushTime = time.Millisecond
	go tracer.Run()
	tracer.Begin(http.Header{}, time.Now()).End()
	<-asked // so that the spans below wait
	for range 5 {
		tracer.Begin(http.Header{}, time.Now()).End()
	}
	require.Equal(t, Stats{Waiting: 2, Queue: 2, Dropped: 3}, tracer.Stats())
	require.NoError(t, tracer.Close(t.Context()))
	require.Equal(t, Stats{Queue: 2, Dropped: 5, Failed: 1}, tracer.Stats())
}

// TestFailuresAreLoggedOnce checks the log of a receiver that is down for some batches.
func TestFailuresAreLoggedOnce(t *testing.T) {
	var down atomic.Bool
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer receiver.Close()
	var log bytes.Buffer
	tracer := open(t, slog.New(slog.NewTextHandler(&log, nil)), receiver.URL, "EXPORTER_OTLP_HEADERS=Authorization=secret")
	for _, state := range []bool{true, true, true, false, false} {
		down.Store(state)
		tracer.Begin(http.Header{}, time.Now()).End()
		tracer.flush(nil)
	}
	go tracer.Run()
	require.NoError(t, tracer.Close(t.Context()))
	require.Equal(t, Stats{Queue: 2048, Failed: 3, Sent: 2}, tracer.Stats())
	require.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), "spans could not be exported")
	require.Contains(t, log.String(), "spans are exported again")
	require.NotContains(t, log.String(), "secret")
}

// TestBegin checks which context services see.
func TestBegin(t *testing.T) {
	long := strings.Repeat("x", 2*maxValueBytes)
	tracer := open(t, slog.New(slog.DiscardHandler), "http://127.0.0.1:1")
	defer func() {
		go tracer.Run()
		require.NoError(t, tracer.Close(t.Context()))
	}()
	h := http.Header{span.ParentField: {"cc" + sampledParent[2:] + "-more"}, span.StateField: {"a=b", "c=d"}}
	s := tracer.Begin(h, time.Now())
	s.Text("long", long)
	child := s.Child(span.Client, "call")
	require.Regexp(t, "^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$", h.Get(span.ParentField))
	require.NotContains(t, h.Get(span.ParentField), "00f067aa0ba902b7")
	require.Equal(t, []string{"a=b,c=d"}, h[span.StateField])
	own := http.Header{span.ParentField: {sampledParent}}
	child.Replace(s, own)
	require.Equal(t, sampledParent, own.Get(span.ParentField), "that of a guest stays")
	child.Replace(s, h)
	require.True(t, child.Child(span.Internal, "x").Names(child, h))
	s.EndAt(time.Now())
	ended := <-tracer.queue
	require.Len(t, ended.Attributes()[0].Value.AsString(), maxValueBytes)
}

// TestWaitingSpansHoldLittle records texts that are parts of larger ones, as those of a request are, and texts that are too long.
func TestWaitingSpansHoldLittle(t *testing.T) {
	const spans = 64
	for name, record := range map[string]func(s *span.Span){
		"a part":     func(s *span.Span) { s.Text("key", heaptest.Part("value")) },
		"a long one": func(s *span.Span) { s.Text("key", strings.Repeat("x", heaptest.Large)) },
		"a name":     func(s *span.Span) { s.Rename(heaptest.Part("GET")) },
		"a child":    func(s *span.Span) { s.Child(span.Client, heaptest.Part("GET")).End() },
		"a state":    func(*span.Span) {},
	} {
		tracer := open(t, slog.New(slog.DiscardHandler), "http://127.0.0.1:1")
		before := heaptest.InUse()
		for range spans {
			s := tracer.Begin(http.Header{span.ParentField: {heaptest.Part(sampledParent)}, span.StateField: {heaptest.Part("a=b")}}, time.Now())
			record(s)
			s.End()
		}
		require.Less(t, heaptest.InUse(), before+spans*heaptest.Large/4, name)
		require.GreaterOrEqual(t, tracer.Stats().Waiting, spans)
		tracer.flushTime = 0
		go tracer.Run()
		require.NoError(t, tracer.Close(t.Context()))
	}
}

func TestSampled(t *testing.T) {
	for flags, want := range map[string]bool{"00": false, "01": true, "02": false, "03": true, "0a": false, "0b": true, "f0": false, "ff": true, "0": false} {
		require.Equal(t, want, sampled(sampledParent[:len(sampledParent)-2]+flags), flags)
	}
}

// BenchmarkServeHTTP measures traced and untraced requests in the router alone.
func BenchmarkServeHTTP(b *testing.B) {
	for _, c := range []struct {
		name, sampler, parent string
		off                   bool
	}{
		{name: "off", off: true},
		{name: "unsampled by the client", parent: sampledParent[:len(sampledParent)-1] + "0"},
		{name: "unsampled by the server", sampler: "always_off"},
		{name: "sampled"},
	} {
		b.Run(c.name, func(b *testing.B) {
			tracer := open(b, slog.New(slog.DiscardHandler), "http://127.0.0.1:1", "TRACES_SAMPLER="+c.sampler, "BSP_MAX_QUEUE_SIZE=1")
			config := router.Config{AccessLog: func(*accesslog.Record) {}}
			if !c.off {
				config.Tracer = tracer
			}
			rt := router.New(config)
			table, err := router.BuildTable([]*router.Route{router.NewRoute(router.Binding{
				Key: routekey.Key{Prefix: "/a"},
				Handler: router.HandlerFunc(func(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
					w.WriteHeader(http.StatusNoContent)
					return nil
				}),
			})})
			require.NoError(b, err)
			rt.Publish(table)
			r := httptest.NewRequest("GET", "/a", http.NoBody)
			w := discard{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				if delete(r.Header, span.ParentField); c.parent != "" {
					r.Header[span.ParentField] = []string{c.parent}
				}
				rt.ServeHTTP(w, r)
			}
		})
	}
}

// discard is a minimal http.ResponseWriter.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}
