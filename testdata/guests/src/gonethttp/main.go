// Command gonethttp serves a net/http mux through the raw guest interface, as an example of
// a realistic Go guest.
//
//	GET  .../hello/NAME   "hello NAME"
//	POST .../upper        the body in upper case
//	GET  .../dial         the error of a request to another server, which is made without the host
//	GET  .../hits         the number of requests of this instance: 1 if every request has fresh state
//
// Paths are matched from their end, so that the guest works under any prefix.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"unsafe"
)

//go:wasmimport http_handler get_method
func getMethod(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_uri
func getURI(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler read_body
func readBody(kind uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler set_status_code
func setStatusCode(status uint32)

//go:wasmimport http_handler add_header_value
func addHeaderValue(kind uint32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32)

//go:wasmimport http_handler write_body
func writeBody(kind uint32, ptr unsafe.Pointer, size uint32)

const (
	request  = 0 // kinds of headers and body
	response = 1
)

var (
	hits int
	mux  = http.NewServeMux()
)

func init() {
	mux.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "hello %s\n", r.PathValue("name"))
	})
	mux.HandleFunc("POST /upper", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Write(bytes.ToUpper(body))
	})
	mux.HandleFunc("GET /dial", func(w http.ResponseWriter, r *http.Request) {
		_, err := http.Get("http://example.com/")
		fmt.Fprintln(w, err)
	})
	mux.HandleFunc("GET /hits", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%d\n", hits)
	})
}

//go:wasmexport handle_request
func handleRequest() uint64 {
	hits++
	r, err := http.NewRequest(text(getMethod), rest(text(getURI)), body{})
	if err != nil {
		setStatusCode(http.StatusBadRequest)
		return 0
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	setStatusCode(uint32(w.Code))
	for name, values := range w.Header() {
		for _, value := range values {
			addHeaderValue(response, pointer(name), uint32(len(name)), pointer(value), uint32(len(value)))
		}
	}
	out := w.Body.String()
	writeBody(response, pointer(out), uint32(len(out)))
	return 0
}

//go:wasmexport handle_response
func handleResponse(ctx, isError uint32) {}

// rest removes the part of a path before one of the mux's patterns.
func rest(uri string) string {
	for _, start := range []string{"/hello/", "/upper", "/hits", "/dial"} {
		if i := strings.LastIndex(uri, start); i >= 0 {
			return uri[i:]
		}
	}
	return uri
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

// body is the request's body, read as it arrives.
type body struct{}

func (body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	read := readBody(request, unsafe.Pointer(&p[0]), uint32(len(p)))
	if read>>32 != 0 {
		return int(uint32(read)), io.EOF
	}
	return int(uint32(read)), nil
}

func pointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

func main() {}
