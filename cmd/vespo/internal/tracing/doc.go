// Package tracing exports the spans of requests over OTLP/HTTP, by OpenTelemetry's SDK.
//
// Finished spans wait in a queue of bounded length. Spans beyond it and spans that the receiver refuses are dropped and
// counted: requests never wait for the receiver.
//
// The settings are the standard variables OTEL_*. A wrong value is reported and ignored, as the specification of
// OpenTelemetry asks for: they are often set for all programs of a machine.
//
// # Concurrency
//
// A Tracer is safe for concurrent use. Run is the one goroutine that exports.
package tracing
