package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	flushTime     = 5 * time.Second // for the spans that wait when the server stops
	maxValueBytes = 1 << 10         // of an attribute, unless OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT is set
	complainEvery = time.Minute
)

// Tracer implements span.Tracer. Create it with Open, and close it while Run runs.
type Tracer struct {
	settings  Settings              // immutable
	log       *slog.Logger          // immutable
	transport *http.Transport       // immutable
	exporter  *otlptrace.Exporter   // immutable
	tracer    trace.Tracer          // immutable
	queue     chan sdk.ReadOnlySpan // immutable; finished spans
	flushTime time.Duration         // immutable after tests have set it

	valueLimit int // immutable; most characters of an attribute

	stop     func()          // immutable; closes stopping, once
	stopping chan struct{}   // immutable
	exports  context.Context // immutable; of all exports
	cut      func()          // immutable; ends exports
	ended    chan struct{}   // immutable; closed by Run

	sent    atomic.Uint64
	dropped atomic.Uint64
	failed  atomic.Uint64

	complained time.Time // used by Run alone; zero while exports succeed
}

// Stats counts the spans since Open.
type Stats struct {
	Waiting int    // finished spans in the queue
	Queue   int    // most of them
	Sent    uint64 // taken by the receiver
	Dropped uint64 // found the queue full, or were left when the server stopped
	Failed  uint64 // refused by the receiver, or not delivered in time
}

// Stats returns the current state; zero for nil.
func (t *Tracer) Stats() Stats {
	if t == nil {
		return Stats{}
	}
	return Stats{
		Waiting: len(t.queue),
		Queue:   cap(t.queue),
		Sent:    t.sent.Load(),
		Dropped: t.dropped.Load(),
		Failed:  t.failed.Load(),
	}
}

// Open returns a Tracer that exports by s, which has an endpoint. It connects to nothing. What the SDK itself has to say goes
// to log, for the whole process: the SDK knows one log.
func Open(ctx context.Context, s Settings, version string, log *slog.Logger) (*Tracer, error) {
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Debug("the SDK of OpenTelemetry reports an error", "error", err) }))
	t := &Tracer{
		settings:  s,
		log:       log,
		queue:     make(chan sdk.ReadOnlySpan, s.queue),
		flushTime: flushTime,
		stopping:  make(chan struct{}),
		ended:     make(chan struct{}),
	}
	t.stop = sync.OnceFunc(func() { close(t.stopping) })
	t.exports, t.cut = context.WithCancel(context.WithoutCancel(ctx))
	t.transport = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     s.tls,
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        1,
		IdleConnTimeout:     90 * time.Second,
	}
	var err error
	if t.exporter, err = otlptracehttp.New(ctx, t.options()...); err != nil {
		return nil, fmt.Errorf("traces cannot be exported: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithAttributes(attribute.String("service.version", version)),
		resource.WithAttributes(s.resource...),
		resource.WithAttributes(attribute.String("service.name", s.Service)))
	if err != nil {
		log.Warn("the resource of traces is incomplete", "error", err)
	}
	limits := sdk.NewSpanLimits()
	if limits.AttributeValueLengthLimit < 0 {
		limits.AttributeValueLengthLimit = maxValueBytes
	}
	t.valueLimit = limits.AttributeValueLengthLimit
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(processor{t}), sdk.WithSampler(s.sampler), sdk.WithResource(about), sdk.WithRawSpanLimits(limits))
	t.tracer = provider.Tracer("github.com/vespo-dev/vespo", trace.WithInstrumentationVersion(version))
	return t, nil
}

// options returns the options of the exporter. They override its settings from the environment.
func (t *Tracer) options() []otlptracehttp.Option {
	compression := otlptracehttp.NoCompression
	if t.settings.gzip {
		compression = otlptracehttp.GzipCompression
	}
	return []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(t.settings.Endpoint),
		otlptracehttp.WithHeaders(t.settings.headers),
		otlptracehttp.WithCompression(compression),
		otlptracehttp.WithHTTPClient(&http.Client{
			Transport:     t.transport,
			Timeout:       t.settings.timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled:         true,
			InitialInterval: time.Second,
			MaxInterval:     10 * time.Second,
			MaxElapsedTime:  t.settings.patience,
		}),
	}
}

// processor implements sdk.SpanProcessor. It never blocks.
type processor struct{ *Tracer }

// OnStart implements sdk.SpanProcessor.
func (processor) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor.
func (p processor) OnEnd(s sdk.ReadOnlySpan) {
	select {
	case p.queue <- s:
	default:
		p.dropped.Add(1)
	}
}

// ForceFlush implements sdk.SpanProcessor. It is not called.
func (processor) ForceFlush(context.Context) error { return nil }

// Shutdown implements sdk.SpanProcessor. It is not called.
func (processor) Shutdown(context.Context) error { return nil }

// Run exports spans until Close.
func (t *Tracer) Run() {
	defer close(t.ended)
	batch := make([]sdk.ReadOnlySpan, 0, t.settings.batch)
	timer := time.NewTimer(t.settings.delay)
	defer timer.Stop()
	for {
		select {
		case s := <-t.queue:
			if batch = append(batch, s); len(batch) < cap(batch) {
				continue
			}
		case <-timer.C:
		case <-t.stopping:
			t.flush(batch)
			return
		}
		batch = t.export(batch)
		timer.Reset(t.settings.delay)
	}
}

// flush exports the waiting spans, until cut.
func (t *Tracer) flush(batch []sdk.ReadOnlySpan) {
	for {
		select {
		case s := <-t.queue:
			if batch = append(batch, s); len(batch) == cap(batch) {
				batch = t.export(batch)
			}
		default:
			t.export(batch)
			return
		}
	}
}

// export sends a batch, and returns an empty one.
func (t *Tracer) export(batch []sdk.ReadOnlySpan) []sdk.ReadOnlySpan {
	n := uint64(len(batch))
	if n == 0 {
		return batch
	}
	if t.exports.Err() != nil {
		t.dropped.Add(n)
		return batch[:0]
	}
	ctx, cancel := context.WithTimeout(t.exports, t.settings.patience)
	err := t.exporter.ExportSpans(ctx, batch)
	cancel()
	clear(batch)
	if err == nil {
		t.sent.Add(n)
		if !t.complained.IsZero() {
			t.complained = time.Time{}
			t.log.Info("spans are exported again")
		}
		return batch[:0]
	}
	t.failed.Add(n)
	if t.complained.IsZero() || time.Since(t.complained) >= complainEvery {
		t.complained = time.Now()
		t.log.Warn("spans could not be exported", "spans", n, "endpoint", t.settings.Endpoint, "error", err)
	}
	return batch[:0]
}

// Close exports the spans that wait, for at most flushTime, and ends Run.
func (t *Tracer) Close(ctx context.Context) error {
	t.stop()
	late := time.AfterFunc(t.flushTime, t.cut)
	defer late.Stop()
	<-t.ended
	t.cut()
	t.transport.CloseIdleConnections()
	return t.exporter.Shutdown(context.WithoutCancel(ctx))
}
