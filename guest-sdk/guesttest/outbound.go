//go:build !wasip1

package guesttest

import (
	"bytes"
	"cmp"
	"errors"
	"net/textproto"
	"strings"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

// fetch is an outbound request. It is open until answered is true.
type fetch struct {
	request         OutboundRequest
	requestHeader   headers
	requestBody     bytes.Buffer
	answered        bool
	body            string
	header, trailer headers
}

var _ abi.Extension = (*host)(nil)

func (h *host) prefix() string { return cmp.Or(h.request.Prefix, "/") }

func (h *host) Prefix(buf []byte) uint32 { return fill(buf, h.prefix()) }

func (h *host) Rest(buf []byte) uint32 {
	path, _, _ := strings.Cut(cmp.Or(h.request.URI, "/"), "?")
	if h.prefix() != "/" {
		path = strings.TrimPrefix(path, h.prefix())
	}
	return fill(buf, cmp.Or(path, "/"))
}

func (h *host) RequestFields(kind abi.Kind, buf []byte) int64 {
	return int64(fillFields(buf, h.headers[abi.KindRequest], kind))
}

func (h *host) ConfigGet(name string, buf []byte) int32 {
	value, ok := h.request.Settings[name]
	if !ok {
		return -1
	}
	return int32(fill(buf, value))
}

func (h *host) fetch(handle int32) *fetch {
	if handle < 1 || int(handle) > len(h.fetches) {
		return nil
	}
	return h.fetches[handle-1]
}

func (h *host) FetchOpen(method, uri string) int32 {
	if h.request.Outbound == nil {
		return int32(vespo.ErrDenied)
	}
	h.fetches = append(h.fetches, &fetch{request: OutboundRequest{Method: method, URI: uri}})
	return int32(len(h.fetches))
}

func (h *host) FetchAddFields(handle int32, list []byte) int32 {
	f := h.fetch(handle)
	if f == nil || f.answered {
		return int32(vespo.ErrClosed)
	}
	for _, field := range abi.SplitFields(list, bytes.Count(list, []byte{0})) {
		if field[0] == "" || strings.ContainsAny(field[0]+field[1], "\r\n") {
			return int32(vespo.ErrMalformed)
		}
		f.requestHeader.add(field[0], field[1])
	}
	return 0
}

func (h *host) FetchWrite(handle int32, body []byte) int32 {
	f := h.fetch(handle)
	if f == nil || f.answered {
		return int32(vespo.ErrClosed)
	}
	f.requestBody.Write(body)
	return 0
}

func (h *host) FetchSend(handle int32) int32 {
	f := h.fetch(handle)
	if f == nil || f.answered {
		return int32(vespo.ErrClosed)
	}
	f.request.Header = f.requestHeader.toMap()
	f.request.Body = f.requestBody.String()
	answer, err := h.request.Outbound(&f.request)
	if code := vespo.ErrUnreachable; err != nil {
		errors.As(err, &code)
		return int32(code)
	}
	f.answered = true
	f.body, f.header, f.trailer = answer.Body, headersOf(answer.Header), headersOf(answer.Trailer)
	return int32(cmp.Or(answer.Status, 200))
}

func (f *fetch) headers(kind abi.Kind) headers {
	if kind == abi.KindResponse {
		return f.header
	}
	if f.body == "" {
		return f.trailer
	}
	return nil // trailers are available only at the end of the body
}

func (h *host) FetchFields(handle int32, kind abi.Kind, buf []byte) int64 {
	f := h.fetch(handle)
	if f == nil {
		return int64(vespo.ErrClosed)
	}
	return int64(fillFields(buf, f.headers(kind&^abi.CanonicalNames), kind))
}

// fillFields writes names and values in turn, those of one name after each other.
func fillFields(buf []byte, from headers, kind abi.Kind) uint64 {
	var list []string
	for _, name := range from.names() {
		shown := name
		if kind&abi.CanonicalNames != 0 {
			shown = textproto.CanonicalMIMEHeaderKey(name)
		}
		for _, value := range from.values(name) {
			list = append(list, shown, value)
		}
	}
	return fillList(buf, list)
}

func (h *host) FetchRead(handle int32, buf []byte) int64 {
	f := h.fetch(handle)
	if f == nil || !f.answered {
		return int64(vespo.ErrClosed)
	}
	n := copy(buf, f.body)
	f.body = f.body[n:]
	if f.body == "" {
		return 1<<32 | int64(n)
	}
	return int64(n)
}

func (h *host) FetchClose(handle int32) int32 {
	if h.fetch(handle) == nil {
		return int32(vespo.ErrClosed)
	}
	h.fetches[handle-1] = nil
	return 0
}
