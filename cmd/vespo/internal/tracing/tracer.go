package tracing

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/vespo-dev/vespo/internal/span"
)

// kinds are the kinds of spans for the SDK.
var kinds = [...]trace.SpanKind{
	span.Internal: trace.SpanKindInternal,
	span.Server:   trace.SpanKindServer,
	span.Client:   trace.SpanKindClient,
}

// Begin implements span.Tracer.
func (t *Tracer) Begin(h http.Header, arrived time.Time) *span.Span {
	ctx, parent := context.Background(), trace.SpanContext{}
	if from := h[span.ParentField]; from != nil {
		if t.settings.follows && !sampled(from[0]) {
			return nil // services continue the client's trace
		}
		ctx = propagation.TraceContext{}.Extract(ctx, carrier{propagation.HeaderCarrier(h)})
		parent = trace.SpanContextFromContext(ctx)
	}
	_, started := t.tracer.Start(ctx, "HTTP", trace.WithTimestamp(arrived), trace.WithSpanKind(trace.SpanKindServer))
	if started.IsRecording() {
		s := span.New(recorder{started, t})
		s.Inject(h)
		return s
	}
	if !parent.IsValid() || parent.IsSampled() {
		// Without this, each service that is called would decide for itself, and traces would have no beginning.
		inject(h, started.SpanContext())
	}
	return nil
}

// sampled reports whether the flags of a valid traceparent have the lowest bit. It saves most of the cost of requests that
// are not sampled.
func sampled(parent string) bool {
	const lastFlag = len("00-") + 32 + len("-") + 16 + len("-") + 1
	return len(parent) > lastFlag && strings.IndexByte("13579bdf", parent[lastFlag]) >= 0
}

// carrier is a header whose fields can have several values: tracestate is a list.
type carrier struct{ propagation.HeaderCarrier }

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string { return strings.Clone(strings.Join(c.Values(key), ",")) } // spans keep parts of it

// inject sets the trace context of h.
func inject(h http.Header, to trace.SpanContext) {
	h[span.ParentField] = []string{parentOf(to)}
	if delete(h, span.StateField); to.TraceState().Len() > 0 {
		h[span.StateField] = []string{to.TraceState().String()}
	}
}

// parentOf returns the value of traceparent.
func parentOf(c trace.SpanContext) string {
	return "00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-" + c.TraceFlags().String()
}

// recorder implements span.Recorder by a span of the SDK.
type recorder struct {
	span trace.Span // immutable
	of   *Tracer    // immutable
}

// own returns the part of a text that a span keeps, in memory of its own: the text may be a part of a whole request, and the SDK keeps a long
// one to which it refers by its beginning. Clients can send any bytes, and one invalid text would spoil a whole batch.
func (t *Tracer) own(text string) string {
	text = strings.ToValidUTF8(text, "?")
	characters := 0
	for i := range text {
		if characters == t.valueLimit {
			return strings.Clone(text[:i])
		}
		characters++
	}
	return strings.Clone(text)
}

// Child implements span.Recorder.
func (r recorder) Child(kind span.Kind, name string, start time.Time) span.Recorder {
	ctx := trace.ContextWithSpan(context.Background(), r.span)
	_, child := r.of.tracer.Start(ctx, r.of.own(name), trace.WithTimestamp(start), trace.WithSpanKind(kinds[kind]))
	return recorder{child, r.of}
}

// Rename implements span.Recorder.
func (r recorder) Rename(name string) { r.span.SetName(r.of.own(name)) }

// Text implements span.Recorder.
func (r recorder) Text(key, value string) {
	r.span.SetAttributes(attribute.String(key, r.of.own(value)))
}

// Number implements span.Recorder.
func (r recorder) Number(key string, value int64) { r.span.SetAttributes(attribute.Int64(key, value)) }

// Seconds implements span.Recorder.
func (r recorder) Seconds(key string, d time.Duration) {
	r.span.SetAttributes(attribute.Float64(key, d.Seconds()))
}

// Fail implements span.Recorder.
func (r recorder) Fail(reason string) {
	r.span.SetStatus(codes.Error, "")
	r.Text("error.type", reason)
}

// End implements span.Recorder.
func (r recorder) End(at time.Time) { r.span.End(trace.WithTimestamp(at)) }

// Context implements span.Recorder.
func (r recorder) Context() (parent, state string) {
	c := r.span.SpanContext()
	return parentOf(c), c.TraceState().String()
}
