// Command headers responds with everything it knows of the request, as JSON:
//
//	{"method", "uri", "protocol", "source", "headers": {name: [values]}, "body_bytes", "features", "trailers": {name: [values]}}
//
// It enables trailers, and sends the response header x-two twice and the response trailer x-trailer.
package main

import (
	"encoding/json"
	"strings"
	"unsafe"
)

//go:wasmimport http_handler enable_features
func enableFeatures(features uint32) uint32

//go:wasmimport http_handler get_method
func getMethod(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_uri
func getURI(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_protocol_version
func getProtocolVersion(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_source_addr
func getSourceAddr(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_header_names
func getHeaderNames(kind uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler get_header_values
func getHeaderValues(kind uint32, name unsafe.Pointer, nameLen uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler read_body
func readBody(kind uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler set_header_value
func setHeaderValue(kind uint32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32)

//go:wasmimport http_handler add_header_value
func addHeaderValue(kind uint32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32)

//go:wasmimport http_handler write_body
func writeBody(kind uint32, ptr unsafe.Pointer, size uint32)

const (
	featureTrailers = 4

	request         = 0 // kinds of headers and body
	response        = 1
	requestTrailer  = 2
	responseTrailer = 3
)

type seen struct {
	Method    string              `json:"method"`
	URI       string              `json:"uri"`
	Protocol  string              `json:"protocol"`
	Source    string              `json:"source"`
	Headers   map[string][]string `json:"headers"`
	BodyBytes int                 `json:"body_bytes"`
	Features  uint32              `json:"features"`
	Trailers  map[string][]string `json:"trailers"`
}

var features uint32

func init() { features = enableFeatures(featureTrailers) }

//go:wasmexport handle_request
func handleRequest() uint64 {
	s := seen{
		Method:   text(getMethod),
		URI:      text(getURI),
		Protocol: text(getProtocolVersion),
		Source:   text(getSourceAddr),
		Headers:  headers(request),
		Features: features,
	}
	s.BodyBytes = drain()
	s.Trailers = headers(requestTrailer) // known only after the body
	out, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	setHeader(setHeaderValue, response, "content-type", "application/json")
	setHeader(addHeaderValue, response, "x-two", "first")
	setHeader(addHeaderValue, response, "x-two", "second")
	writeBody(response, unsafe.Pointer(&out[0]), uint32(len(out)))
	if features&featureTrailers != 0 {
		setHeader(setHeaderValue, responseTrailer, "x-trailer", "behind the body")
	}
	return 0
}

//go:wasmexport handle_response
func handleResponse(ctx, isError uint32) {}

func drain() (total int) {
	buf := make([]byte, 8192)
	for {
		read := readBody(request, unsafe.Pointer(&buf[0]), uint32(len(buf)))
		total += int(uint32(read))
		if read>>32 != 0 {
			return total
		}
	}
}

func headers(kind uint32) map[string][]string {
	all := map[string][]string{}
	names := list(func(buf unsafe.Pointer, limit uint32) uint64 { return getHeaderNames(kind, buf, limit) })
	for _, name := range names {
		all[name] = list(func(buf unsafe.Pointer, limit uint32) uint64 {
			return getHeaderValues(kind, pointer(name), uint32(len(name)), buf, limit)
		})
	}
	return all
}

// list reads NUL-terminated strings. If the result exceeds the buffer, it is read again.
func list(get func(unsafe.Pointer, uint32) uint64) []string {
	buf := make([]byte, 512)
	found := get(unsafe.Pointer(&buf[0]), uint32(len(buf)))
	if n := uint32(found); int(n) > len(buf) {
		buf = make([]byte, n)
		found = get(unsafe.Pointer(&buf[0]), n)
	}
	if found>>32 == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(buf[:uint32(found)]), "\x00"), "\x00")
}

// text reads a string from a host function. If the result exceeds the buffer, it is read again.
func text(get func(unsafe.Pointer, uint32) uint32) string {
	buf := make([]byte, 512)
	n := get(unsafe.Pointer(&buf[0]), uint32(len(buf)))
	if int(n) > len(buf) {
		buf = make([]byte, n)
		n = get(unsafe.Pointer(&buf[0]), n)
	}
	return string(buf[:n])
}

func setHeader(set func(uint32, unsafe.Pointer, uint32, unsafe.Pointer, uint32), kind uint32, name, value string) {
	set(kind, pointer(name), uint32(len(name)), pointer(value), uint32(len(value)))
}

func pointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

func main() {}
