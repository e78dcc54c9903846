package router

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// beginSpan starts the span of the request. Services see it in the trace context of the header.
func (x *exchange) beginSpan(t span.Tracer) {
	req := &x.request
	if req.Span = t.Begin(req.Header, req.Arrived); req.TraceID == "" {
		req.TraceID = forwarded.TraceID(req.Header)
		x.record.TraceID = req.TraceID
	}
}

// spanAdmission records the admission of a request, which has just ended with err: the wait for its body, for its shares and
// for a place.
func (x *exchange) spanAdmission(err error) {
	if x.request.Span == nil {
		return
	}
	rec := &x.record
	end := rec.Time.Add(rec.BodyWait + rec.QueueWait)
	if err != nil {
		end = time.Now()
	}
	s := x.request.Span.ChildAt(span.Internal, "admission", rec.Time)
	s.Seconds("vespo.body_wait", rec.BodyWait)
	s.Seconds("vespo.queue_wait", rec.QueueWait)
	if err != nil {
		s.Fail(string(outcomeOf(problem.From(err))))
	}
	s.EndAt(end)
}

// endSpan ends the span of a concluded request. Its name is that of the route: clients choose only among known methods.
func (x *exchange) endSpan() {
	s, rec := x.request.Span, &x.record
	if s == nil {
		return
	}
	name, method := span.Method(rec.Method)
	if rec.Prefix != "" {
		name += " " + rec.Prefix
	}
	s.Rename(name)
	s.Text("http.request.method", method)
	s.Text("http.route", rec.Prefix)
	s.Text("url.path", rawPath(x.request.URL))
	s.Text("url.scheme", x.request.Client.Scheme)
	s.Text("server.address", rec.Host)
	s.Text("client.address", hostOf(rec.Remote))
	s.Text("user_agent.original", rec.UserAgent)
	s.Text("network.protocol.version", strings.TrimSuffix(strings.TrimPrefix(rec.Proto, "HTTP/"), ".0"))
	s.Number("http.response.status_code", int64(rec.Status))
	s.Number("http.request.body.size", rec.BytesIn)
	s.Number("http.response.body.size", rec.BytesOut)
	s.Text("vespo.request_id", rec.RequestID)
	s.Text("vespo.service", rec.Service)
	if rec.Number != 0 {
		s.Text("vespo.version", strconv.FormatUint(rec.Number, 10))
	}
	s.Text("vespo.outcome", string(rec.Outcome))
	s.Text("vespo.start", string(rec.Start))
	s.Seconds("vespo.queue_wait", rec.QueueWait)
	if reason := failureOf(rec); reason != "" {
		s.Fail(reason)
	}
	s.EndAt(rec.Ended())
}

// failureOf returns the attribute error.type of a request that the server or the service has failed, else "".
func failureOf(rec *accesslog.Record) string {
	switch {
	case !rec.Failed && rec.Status < http.StatusInternalServerError:
		return ""
	case rec.Outcome != accesslog.OutcomeOK:
		return string(rec.Outcome)
	case rec.Status != 0:
		return strconv.Itoa(rec.Status)
	}
	return string(accesslog.OutcomeAborted)
}

// hostOf returns address without its port.
func hostOf(address string) string {
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		address = address[:i]
	}
	return strings.Trim(address, "[]")
}
