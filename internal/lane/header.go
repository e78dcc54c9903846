package lane

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// plan is what the header of a response says about the form of the response. It is taken when the handler sends the
// status: later changes of the header concern the trailer alone.
type plan struct {
	length     int64    // Content-Length; -1 if there is no valid one
	sized      bool     // there is a Content-Length, perhaps one without a value
	typed      bool     // there is a Content-Type
	dated      bool     // there is a Date
	encoded    bool     // there is a Content-Encoding
	transfer   []string // Transfer-Encoding
	connection []string // Connection
	trailers   []string // names of announced trailers
	trailing   bool     // there may be trailers
}

// take appends the fields of a header to head, and keeps its decisions about the length and the end of the body for later.
func (p *plan) take(head []byte, header http.Header, status int) []byte {
	p.length = -1
	var room [fieldRoom]field
	fields := room[:0]
	for name, values := range header {
		switch name {
		case "Content-Length":
			p.takeLength(values)
			continue
		case "Transfer-Encoding":
			p.transfer = values
			continue
		case "Connection":
			p.connection = values
			continue
		case "Content-Type":
			if p.typed = true; status == http.StatusNotModified {
				continue
			}
		case "Date":
			p.dated = true
		case "Content-Encoding":
			p.encoded = len(values) > 0 && values[0] != ""
		case "Trailer":
			p.trailing = true
			p.announce(values)
		}
		if strings.HasPrefix(name, http.TrailerPrefix) {
			p.trailing = true
			continue
		}
		fields = append(fields, field{name, values})
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	for _, f := range fields {
		head = appendField(head, f.name, f.values...)
	}
	return head
}

// field is a field of a header.
type field struct {
	name   string
	values []string
}

// takeLength parses a Content-Length.
func (p *plan) takeLength(values []string) {
	p.sized = true
	if len(values) == 0 {
		return
	}
	if n, err := strconv.ParseInt(values[0], 10, 64); err == nil && n >= 0 {
		p.length = n
	}
}

// announce keeps the names of trailers that net/http would send. The router decides about the trailers of services.
func (p *plan) announce(lists []string) {
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			if name = http.CanonicalHeaderKey(textproto.TrimString(name)); name != "" && httpguts.ValidTrailerHeader(name) {
				p.trailers = append(p.trailers, name)
			}
		}
	}
}

// first returns the first value of a field.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// hasToken reports whether a list has a token.
func hasToken(list, token string) bool {
	for element := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(textproto.TrimString(element), token) {
			return true
		}
	}
	return false
}

// sendHeaderLocked completes the header and passes it to buffers.out, once. p is the first part of the body, and all of it
// if the handler has returned.
func (w *response) sendHeaderLocked(p []byte) {
	if w.sent {
		return
	}
	w.sent = true
	plan := &w.plan
	isHead, allowed, transfer := w.request.Method == http.MethodHead, bodyAllowed(w.status), first(plan.transfer)
	length := plan.length
	if w.done && !plan.trailing && transfer == "" && allowed && !plan.sized && (!isHead || len(p) > 0) {
		length = int64(len(p))
		plan.length = length
	}
	if w.request.Close || first(plan.connection) == "close" || w.conn.server.leaving.Load() {
		w.close = true
	}
	w.dropBodyLocked()
	head := w.buffers.head
	if !plan.dated {
		head = append(append(append(head, "Date: "...), w.conn.server.date()...), "\r\n"...)
	}
	if transfer != "" && transfer != "identity" && length >= 0 {
		w.conn.server.logf("lane: a response has a Transfer-Encoding and a Content-Length")
		length, plan.length = -1, -1
	}
	if allowed && length >= 0 {
		head = append(strconv.AppendInt(append(head, "Content-Length: "...), length, 10), "\r\n"...)
	}
	if allowed && !plan.encoded && !plan.typed && transfer == "" && len(p) > 0 {
		head = appendField(head, "Content-Type", http.DetectContentType(p))
	}
	if !isHead && allowed && length < 0 {
		if transfer == "identity" {
			w.close = true
		} else {
			w.chunked = true
		}
	}
	head = w.appendConnection(head)
	if w.chunked {
		if transfer != "" && transfer != "chunked" {
			head = appendField(head, "Transfer-Encoding", plan.transfer...)
		}
		head = appendField(head, "Transfer-Encoding", "chunked")
	}
	w.buffers.head = append(head, "\r\n"...)
	_, _ = w.buffers.out.Write(w.buffers.head) // the connection keeps the error
}

// appendConnection appends the Connection of a response.
func (w *response) appendConnection(head []byte) []byte {
	values := w.plan.connection
	if w.close && !hasToken(first(values), "close") {
		return appendField(head, "Connection", "close")
	}
	return appendField(head, "Connection", values...)
}

// dropBodyLocked reads the rest of the request's body, or closes the connection after the response.
func (w *response) dropBodyLocked() {
	if w.body == nil || w.close || w.duplex {
		return
	}
	switch w.body.discard() {
	case broken:
		w.close = true
	case large:
		w.closeGentlyLocked()
		w.plan.connection = nil
	}
}

// appendStatus appends a status line.
func appendStatus(b []byte, status int) []byte {
	b = strconv.AppendInt(append(b, "HTTP/1.1 "...), int64(status), 10)
	if text := http.StatusText(status); text != "" {
		return append(append(append(b, ' '), text...), "\r\n"...)
	}
	b = strconv.AppendInt(append(b, " status code "...), int64(status), 10)
	return append(b, "\r\n"...)
}

// appendField appends a field, with a line for each value. An invalid name is left out.
func appendField(b []byte, name string, values ...string) []byte {
	if name == "" || !all(name, inName) {
		return b
	}
	for _, value := range values {
		b = append(append(b, name...), ": "...)
		start := len(b)
		b = append(append(b, textproto.TrimString(value)...), "\r\n"...)
		for i := start; i < len(b)-2; i++ {
			if b[i] == '\r' || b[i] == '\n' {
				b[i] = ' '
			}
		}
	}
	return b
}

// appendTrailer appends the announced trailers, and those with http.TrailerPrefix.
func appendTrailer(b []byte, header http.Header, announced []string) []byte {
	var trailer map[string][]string
	for name, values := range header {
		if name, found := strings.CutPrefix(name, http.TrailerPrefix); found {
			if trailer == nil {
				trailer = make(map[string][]string)
			}
			trailer[name] = values
		}
	}
	for _, name := range announced {
		if values := header[name]; len(values) > 0 {
			if trailer == nil {
				trailer = make(map[string][]string)
			}
			trailer[name] = slices.Concat(trailer[name], values)
		}
	}
	names := make([]string, 0, len(trailer))
	for name := range trailer {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b = appendField(b, name, trailer[name]...)
	}
	return b
}
