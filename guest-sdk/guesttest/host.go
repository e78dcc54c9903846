//go:build !wasip1

package guesttest

import (
	"bytes"
	"cmp"
	"io"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

// host is the host of one request. It implements abi.Host and, in outbound.go and keyvalue_native.go, abi.Extension.
type host struct {
	request  *Request
	headers  [4]headers // by abi.Kind
	features uint32
	status   uint32
	body     strings.Builder
	writes   int
	log      []LogMessage
	fetches  []*fetch    // handle 1 is at index 0; nil after FetchClose
	entry    vespo.Entry // of the last KVGet; version 0: none
	page     []string    // of the last KVList
	passed   bool        // the guest has passed the request on
	behind   io.Reader   // unread part of the next handler's body
	replaced bool        // the guest has written a body that replaces the next handler's
}

var _ abi.Host = (*host)(nil)

func newHost(r *Request) *host {
	h := &host{request: r, status: 200}
	h.headers[abi.KindRequest] = headersOf(r.Header)
	return h
}

// fill copies value to buf and returns its length. If the value does not fit, nothing is written, as the ABI specifies.
func fill[T string | []byte](buf []byte, value T) uint32 {
	if len(value) <= len(buf) {
		copy(buf, value)
	}
	return uint32(len(value))
}

func fillList(buf []byte, values []string) uint64 {
	var all bytes.Buffer
	for _, value := range values {
		all.WriteString(value)
		all.WriteByte(0)
	}
	return uint64(len(values))<<32 | uint64(fill(buf, all.Bytes()))
}

func (h *host) EnableFeatures(features uint32) uint32 {
	if h.request.NoTrailers {
		features &^= abi.FeatureTrailers
	}
	h.features |= features
	return h.features
}

func (h *host) Config(buf []byte) uint32 { return fill(buf, h.request.Config) }

func (h *host) LogEnabled(level int32) bool { return level >= int32(h.request.LogLevel) }

func (h *host) Log(level int32, message string) {
	if h.LogEnabled(level) {
		h.log = append(h.log, LogMessage{guest.Level(level), message})
	}
}

func (h *host) Method(buf []byte) uint32 { return fill(buf, cmp.Or(h.request.Method, "GET")) }
func (h *host) URI(buf []byte) uint32    { return fill(buf, cmp.Or(h.request.URI, "/")) }

func (h *host) ProtocolVersion(buf []byte) uint32 {
	return fill(buf, cmp.Or(h.request.Proto, "HTTP/1.1"))
}

func (h *host) SourceAddr(buf []byte) uint32 {
	return fill(buf, cmp.Or(h.request.RemoteAddr, "192.0.2.1:1234"))
}

func (h *host) HeaderNames(kind abi.Kind, buf []byte) uint64 {
	return fillList(buf, h.headers[kind].names())
}

func (h *host) HeaderValues(kind abi.Kind, name string, buf []byte) uint64 {
	return fillList(buf, h.headers[kind].values(name))
}

func (h *host) SetHeader(kind abi.Kind, name, value string) {
	h.RemoveHeader(kind, name)
	h.AddHeader(kind, name, value)
}

func (h *host) AddHeader(kind abi.Kind, name, value string) {
	if kind == abi.KindResponse && (h.writes > 0 && !h.passed || h.passed && !h.buffers()) {
		return // the header is already sent
	}
	h.headers[kind].add(name, value)
}

func (h *host) RemoveHeader(kind abi.Kind, name string) {
	if kind == abi.KindResponse && h.passed && !h.buffers() {
		return
	}
	h.headers[kind].remove(name)
}

// Next sets the response to that of the next handler. It reports whether the next handler failed.
func (h *host) Next() (failed bool) {
	h.passed = true
	behind := h.request.Behind
	if behind == nil {
		h.status = 404
		return false
	}
	h.status, h.behind = uint32(cmp.Or(behind.Status, 200)), strings.NewReader(behind.Body)
	h.headers[abi.KindResponse] = headersOf(behind.Header)
	h.headers[abi.KindResponseTrailers] = headersOf(behind.Trailer)
	h.body.WriteString(behind.Body)
	return behind.Ended
}

func (h *host) Status() uint32 { return h.status }

func (h *host) SetMethod(method string) { h.request.Method = method }
func (h *host) SetURI(uri string)       { h.request.URI = uri }

// buffers reports whether the response of the next handler is buffered.
func (h *host) buffers() bool { return h.features&abi.FeatureBufferResponse != 0 }

func (h *host) ReadBody(kind abi.Kind, buf []byte) uint64 {
	const eof = 1 << 32
	if kind == abi.KindResponse {
		if h.behind == nil || !h.buffers() {
			abi.Exit(1) // as hosts do
		}
		n, err := io.ReadFull(h.behind, buf)
		if err != nil {
			return eof | uint64(n)
		}
		return uint64(n)
	}
	if h.request.Body == nil {
		h.endBody()
		return eof
	}
	n, err := h.request.Body.Read(buf)
	if err == io.EOF {
		h.endBody()
		return eof | uint64(n)
	}
	if err != nil {
		abi.Exit(1)
	}
	return uint64(n)
}

func (h *host) endBody() {
	if h.features&abi.FeatureTrailers != 0 {
		h.headers[abi.KindRequestTrailers] = headersOf(h.request.Trailer)
	}
}

func (h *host) WriteBody(_ abi.Kind, body []byte) {
	if h.passed && !h.replaced && h.buffers() {
		h.replaced = true
		h.body.Reset()
	}
	h.body.Write(body)
	h.writes++
}

func (h *host) SetStatus(status uint32) {
	if !h.passed || h.buffers() {
		h.status = status
	}
}
