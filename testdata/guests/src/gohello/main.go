// Command gohello is a minimal guest for the standard Go toolchain. It counts the requests
// of its instance in the header x-hits: always 1 if every request has fresh state.
package main

import (
	"strconv"
	"unsafe"
)

//go:wasmimport http_handler set_status_code
func setStatusCode(status uint32)

//go:wasmimport http_handler set_header_value
func setHeaderValue(kind uint32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32)

//go:wasmimport http_handler write_body
func writeBody(kind uint32, ptr unsafe.Pointer, size uint32)

const response = 1 // kind of headers and body

var hits int

//go:wasmexport handle_request
func handleRequest() uint64 {
	hits++
	setStatusCode(200)
	setHeader("content-type", "text/plain")
	setHeader("x-hits", strconv.Itoa(hits))
	body := "hello from go\n"
	writeBody(response, unsafe.Pointer(unsafe.StringData(body)), uint32(len(body)))
	return 0
}

//go:wasmexport handle_response
func handleResponse(ctx, isError uint32) {}

func setHeader(name, value string) {
	setHeaderValue(response, unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)),
		unsafe.Pointer(unsafe.StringData(value)), uint32(len(value)))
}

func main() {}
