//go:build wasip1

package abi

import "unsafe"

//go:wasmimport http_handler enable_features
func enableFeatures(features uint32) uint32

//go:wasmimport http_handler get_config
//go:noescape
func getConfig(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler log_enabled
func logEnabled(level int32) uint32

//go:wasmimport http_handler log
//go:noescape
func log(level int32, message unsafe.Pointer, size uint32)

//go:wasmimport http_handler get_method
//go:noescape
func getMethod(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_uri
//go:noescape
func getURI(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_protocol_version
//go:noescape
func getProtocolVersion(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_source_addr
//go:noescape
func getSourceAddr(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_header_names
//go:noescape
func getHeaderNames(kind uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler get_header_values
//go:noescape
func getHeaderValues(kind uint32, name unsafe.Pointer, nameSize uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport vespo request_fields
//go:noescape
func importRequestFields(kind uint32, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport http_handler set_header_value
//go:noescape
func setHeaderValue(kind uint32, name unsafe.Pointer, nameSize uint32, value unsafe.Pointer, valueSize uint32)

//go:wasmimport http_handler add_header_value
//go:noescape
func addHeaderValue(kind uint32, name unsafe.Pointer, nameSize uint32, value unsafe.Pointer, valueSize uint32)

//go:wasmimport http_handler remove_header
//go:noescape
func removeHeader(kind uint32, name unsafe.Pointer, nameSize uint32)

//go:wasmimport http_handler read_body
//go:noescape
func readBody(kind uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler write_body
//go:noescape
func writeBody(kind uint32, body unsafe.Pointer, size uint32)

//go:wasmimport http_handler set_status_code
func setStatusCode(status uint32)

//go:wasmimport http_handler get_status_code
func getStatusCode() uint32

//go:wasmimport http_handler set_method
//go:noescape
func setMethod(method unsafe.Pointer, size uint32)

//go:wasmimport http_handler set_uri
//go:noescape
func setURI(uri unsafe.Pointer, size uint32)

//go:wasmimport wasi_snapshot_preview1 random_get
//go:noescape
func randomGet(buf unsafe.Pointer, size uint32) uint32

//go:wasmimport wasi_snapshot_preview1 proc_exit
func procExit(code uint32)

// EnableFeatures enables features and returns the enabled ones.
func EnableFeatures(features uint32) uint32 { return enableFeatures(features) }

// Config fills buf with the guest's configuration.
func Config(buf []byte) uint32 { return getConfig(pointer(buf), size(buf)) }

// LogEnabled reports whether the host keeps messages of the level.
func LogEnabled(level int32) bool { return logEnabled(level) != 0 }

// Log sends a message to the host's log.
func Log(level int32, message string) { log(level, stringPointer(message), stringSize(message)) }

// Method fills buf with the request's method.
func Method(buf []byte) uint32 { return getMethod(pointer(buf), size(buf)) }

// URI fills buf with the path and query of the request.
func URI(buf []byte) uint32 { return getURI(pointer(buf), size(buf)) }

// ProtocolVersion fills buf with the protocol version, such as HTTP/1.1.
func ProtocolVersion(buf []byte) uint32 { return getProtocolVersion(pointer(buf), size(buf)) }

// SourceAddr fills buf with the client's address and port.
func SourceAddr(buf []byte) uint32 { return getSourceAddr(pointer(buf), size(buf)) }

// HeaderNames fills buf with the list of header names.
func HeaderNames(kind Kind, buf []byte) uint64 {
	return getHeaderNames(uint32(kind), pointer(buf), size(buf))
}

// HeaderValues fills buf with the list of the values of a header.
func HeaderValues(kind Kind, name string, buf []byte) uint64 {
	return getHeaderValues(uint32(kind), stringPointer(name), stringSize(name), pointer(buf), size(buf))
}

// SetHeader replaces all values of a header with one.
func SetHeader(kind Kind, name, value string) {
	setHeaderValue(uint32(kind), stringPointer(name), stringSize(name), stringPointer(value), stringSize(value))
}

// AddHeader adds a value to a header.
func AddHeader(kind Kind, name, value string) {
	addHeaderValue(uint32(kind), stringPointer(name), stringSize(name), stringPointer(value), stringSize(value))
}

// RemoveHeader removes all values of a header.
func RemoveHeader(kind Kind, name string) {
	removeHeader(uint32(kind), stringPointer(name), stringSize(name))
}

func requestFields(kind Kind, buf []byte) int64 {
	return importRequestFields(uint32(kind), pointer(buf), size(buf))
}

// ReadBody fills buf with the next bytes of the body. The upper half of its result is 1 at the end of the body.
func ReadBody(kind Kind, buf []byte) uint64 { return readBody(uint32(kind), pointer(buf), size(buf)) }

// WriteBody sends the next bytes of the body.
func WriteBody(kind Kind, body []byte) { writeBody(uint32(kind), pointer(body), size(body)) }

// WriteBodyString is like WriteBody for a string, without a copy.
func WriteBodyString(kind Kind, body string) {
	writeBody(uint32(kind), stringPointer(body), stringSize(body))
}

// SetStatus sets the status code of the response.
func SetStatus(status uint32) { setStatusCode(status) }

// Status returns the status code of the response.
func Status() uint32 { return getStatusCode() }

// SetMethod sets the method of the request.
func SetMethod(method string) { setMethod(stringPointer(method), stringSize(method)) }

// SetURI sets the URI of the request.
func SetURI(uri string) { setURI(stringPointer(uri), stringSize(uri)) }

// Random fills buf with random bytes from the host and reports whether it succeeded.
func Random(buf []byte) bool { return randomGet(pointer(buf), size(buf)) == 0 }

// Exit ends the guest with the exit code. It does not return.
func Exit(code uint32) { procExit(code) }

func pointer(b []byte) unsafe.Pointer       { return unsafe.Pointer(unsafe.SliceData(b)) }
func size(b []byte) uint32                  { return uint32(len(b)) }
func stringPointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }
func stringSize(s string) uint32            { return uint32(len(s)) }
