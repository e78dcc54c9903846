//go:build wasip1

package vespo

import (
	"unsafe"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

//go:wasmimport vespo prefix
//go:noescape
func importPrefix(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport vespo rest
//go:noescape
func importRest(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport vespo config_get
//go:noescape
func importConfigGet(name unsafe.Pointer, nameSize uint32, buf unsafe.Pointer, limit uint32) int32

//go:wasmimport vespo fetch_open
//go:noescape
func importFetchOpen(method unsafe.Pointer, methodSize uint32, uri unsafe.Pointer, uriSize uint32) int32

//go:wasmimport vespo fetch_header
//go:noescape
func importFetchHeader(handle int32, name unsafe.Pointer, nameSize uint32, value unsafe.Pointer, valueSize uint32) int32

//go:wasmimport vespo fetch_write
//go:noescape
func importFetchWrite(handle int32, body unsafe.Pointer, size uint32) int32

//go:wasmimport vespo fetch_send
func importFetchSend(handle int32) int32

//go:wasmimport vespo fetch_header_names
//go:noescape
func importFetchHeaderNames(handle int32, kind uint32, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport vespo fetch_header_values
//go:noescape
func importFetchHeaderValues(handle int32, kind uint32, name unsafe.Pointer, nameSize uint32, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport vespo fetch_read
//go:noescape
func importFetchRead(handle int32, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport vespo fetch_close
func importFetchClose(handle int32) int32

func prefix(buf []byte) uint32 { return importPrefix(pointer(buf), size(buf)) }
func rest(buf []byte) uint32   { return importRest(pointer(buf), size(buf)) }

func configGet(name string, buf []byte) int32 {
	return importConfigGet(stringPointer(name), stringSize(name), pointer(buf), size(buf))
}

func fetchOpen(method, uri string) int32 {
	return importFetchOpen(stringPointer(method), stringSize(method), stringPointer(uri), stringSize(uri))
}

func fetchHeader(handle int32, name, value string) int32 {
	return importFetchHeader(handle, stringPointer(name), stringSize(name), stringPointer(value), stringSize(value))
}

func fetchWrite(handle int32, body []byte) int32 {
	return importFetchWrite(handle, pointer(body), size(body))
}

func fetchSend(handle int32) int32 { return importFetchSend(handle) }

func fetchHeaderNames(handle int32, kind abi.Kind, buf []byte) int64 {
	return importFetchHeaderNames(handle, uint32(kind), pointer(buf), size(buf))
}

func fetchHeaderValues(handle int32, kind abi.Kind, name string, buf []byte) int64 {
	return importFetchHeaderValues(handle, uint32(kind), stringPointer(name), stringSize(name), pointer(buf), size(buf))
}

func fetchRead(handle int32, buf []byte) int64 {
	return importFetchRead(handle, pointer(buf), size(buf))
}

func fetchClose(handle int32) int32 { return importFetchClose(handle) }

func pointer(b []byte) unsafe.Pointer       { return unsafe.Pointer(unsafe.SliceData(b)) }
func size(b []byte) uint32                  { return uint32(len(b)) }
func stringPointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }
func stringSize(s string) uint32            { return uint32(len(s)) }
