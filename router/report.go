package router

import (
	"io"
	"net/http"
	"strconv"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// MayReport returns nil if the client may see what a request to the service costs, else the problem to answer with. tokens
// are the values of httpfield.TokenHeader. r is the request as the client has sent it, without the fields that ask for the
// report.
type MayReport func(r *Request, service routekey.Key, tokens []string) error

// report is the state of a request whose client asks what it costs.
type report struct {
	client  *http.Request // as received, without the fields that ask
	asked   []string      // values of httpfield.ReportHeader
	tokens  []string      // values of httpfield.TokenHeader
	granted bool
	length  int64 // declared Content-Length, which a response with a trailer cannot have in HTTP/1.1; -1: none
	held    bool  // the response has no body: it waits for the end of the handler, and has the report in its header
}

// takeReport removes the fields that ask for a report. It returns nil if there are none.
func takeReport(r *http.Request) *report {
	asked := r.Header[httpfield.ReportHeader]
	if asked == nil {
		return nil
	}
	rep := &report{client: r, asked: asked, tokens: r.Header[httpfield.TokenHeader], length: -1}
	dropReport(r.Header)
	return rep
}

func dropReport(h http.Header) {
	delete(h, httpfield.ReportHeader)
	delete(h, httpfield.TokenHeader)
}

// grantReport decides whether the client gets the report that it asks for.
func (rt *Router) grantReport(x *exchange, service routekey.Key) error {
	rep := x.writer.report
	if rep == nil {
		return nil
	}
	rep.granted = false
	if len(rep.asked) != 1 || rep.asked[0] != "1" {
		return problem.Newf(problem.BadRequest, "%s is %.40q: send 1, once, or leave it out", httpfield.ReportHeader, rep.asked)
	}
	if rt.mayReport == nil {
		return problem.New(problem.Forbidden, "this server reports no costs")
	}
	request := x.request.With(rep.client)
	if err := rt.mayReport(request, service, rep.tokens); err != nil {
		return err
	}
	rep.granted = rep.client.ProtoAtLeast(1, 1) // HTTP/1.0 has no trailers
	return nil
}

// reports reports whether the response has a report.
func (w *responseWriter) reports() bool { return w.report != nil && w.report.granted }

// announceReport prepares the response for the report: in the trailer, or in the header if it has no body.
func (w *responseWriter) announceReport(status int) {
	h := w.inner.Header()
	switch {
	case status == http.StatusSwitchingProtocols || status < 200 || status > 999: // net/http panics on invalid ones
		w.report.granted = false
		return
	case w.head || status == http.StatusNoContent || status == http.StatusNotModified:
		w.report.held = true
		return
	}
	if announced := h.Get("Trailer"); announced != "" {
		h.Set("Trailer", announced+", "+httpfield.ReportHeader)
	} else {
		h["Trailer"] = []string{httpfield.ReportHeader}
	}
	if w.http1 { // only chunked bodies have trailers
		if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
			w.report.length = n
		}
		delete(h, "Content-Length")
	}
}

// held reports whether the response waits for its report.
func (w *responseWriter) held() bool { return w.report != nil && w.report.held }

// writeReported is write for a response that may have a report.
func (w *responseWriter) writeReported(p []byte) (int, error) {
	switch {
	case w.report.held && (w.status == http.StatusNoContent || w.status == http.StatusNotModified):
		return 0, http.ErrBodyNotAllowed
	case w.report.held:
		return len(p), nil
	case w.report.length >= 0 && w.bytes+int64(len(p)) > w.report.length: // net/http does not know the length
		return 0, http.ErrContentLength
	}
	return w.write(p)
}

// fallsShort reports whether a response without an error has less than its declared length.
func (w *responseWriter) fallsShort() bool { return w.report != nil && w.bytes < w.report.length }

// sendReport completes the response with the report of the record.
func (w *responseWriter) sendReport(rec *accesslog.Record, unit int) {
	if !w.reports() || w.tunnel != nil {
		return
	}
	w.inner.Header()[httpfield.ReportHeader] = []string{string(accesslog.AppendReport(nil, rec, unit))}
	if w.report.held {
		w.inner.WriteHeader(w.status)
	}
}

// onlyWriter hides the optimisations of a responseWriter.
type onlyWriter struct{ io.Writer }
