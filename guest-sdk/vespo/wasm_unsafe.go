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

//go:wasmimport vespo fetch_add_fields
//go:noescape
func importFetchAddFields(handle int32, list unsafe.Pointer, size uint32) int32

//go:wasmimport vespo fetch_write
//go:noescape
func importFetchWrite(handle int32, body unsafe.Pointer, size uint32) int32

//go:wasmimport vespo fetch_send
func importFetchSend(handle int32) int32

//go:wasmimport vespo fetch_fields
//go:noescape
func importFetchFields(handle int32, kind uint32, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport vespo fetch_read
//go:noescape
func importFetchRead(handle int32, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport vespo fetch_close
func importFetchClose(handle int32) int32

//go:wasmimport vespo kv_get
//go:noescape
func importKVGet(store unsafe.Pointer, storeSize uint32, key unsafe.Pointer, keySize uint32, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport vespo kv_entry
//go:noescape
func importKVEntry(part uint32, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport vespo kv_put
//go:noescape
func importKVPut(store unsafe.Pointer, storeSize uint32, key unsafe.Pointer, keySize uint32, value unsafe.Pointer, valueSize uint32,
	metadata unsafe.Pointer, metadataSize uint32, ttl, version int64) int64

//go:wasmimport vespo kv_delete
//go:noescape
func importKVDelete(store unsafe.Pointer, storeSize uint32, key unsafe.Pointer, keySize uint32, version int64) int32

//go:wasmimport vespo kv_add
//go:noescape
func importKVAdd(store unsafe.Pointer, storeSize uint32, key unsafe.Pointer, keySize uint32, delta int64, sum unsafe.Pointer) int32

//go:wasmimport vespo kv_list
//go:noescape
func importKVList(store unsafe.Pointer, storeSize uint32, prefix unsafe.Pointer, prefixSize uint32, cursor unsafe.Pointer, cursorSize uint32,
	limit int32, buf unsafe.Pointer, bufLimit uint32) int64

//go:wasmimport vespo kv_page
//go:noescape
func importKVPage(buf unsafe.Pointer, limit uint32) int64

func prefix(buf []byte) uint32 { return importPrefix(pointer(buf), size(buf)) }
func rest(buf []byte) uint32   { return importRest(pointer(buf), size(buf)) }

func configGet(name string, buf []byte) int32 {
	return importConfigGet(stringPointer(name), stringSize(name), pointer(buf), size(buf))
}

func fetchOpen(method, uri string) int32 {
	return importFetchOpen(stringPointer(method), stringSize(method), stringPointer(uri), stringSize(uri))
}

func fetchAddFields(handle int32, list []byte) int32 {
	return importFetchAddFields(handle, pointer(list), size(list))
}

func fetchWrite(handle int32, body []byte) int32 {
	return importFetchWrite(handle, pointer(body), size(body))
}

func fetchSend(handle int32) int32 { return importFetchSend(handle) }

func fetchFields(handle int32, kind abi.Kind, buf []byte) int64 {
	return importFetchFields(handle, uint32(kind), pointer(buf), size(buf))
}

func fetchRead(handle int32, buf []byte) int64 {
	return importFetchRead(handle, pointer(buf), size(buf))
}

func fetchClose(handle int32) int32 { return importFetchClose(handle) }

func kvGet(store, key string, buf []byte) int64 {
	return importKVGet(stringPointer(store), stringSize(store), stringPointer(key), stringSize(key), pointer(buf), size(buf))
}

func kvEntry(part int32, buf []byte) int64 {
	return importKVEntry(uint32(part), pointer(buf), size(buf))
}

func kvPut(store, key string, value []byte, metadata string, ttl, version int64) int64 {
	return importKVPut(stringPointer(store), stringSize(store), stringPointer(key), stringSize(key), pointer(value), size(value),
		stringPointer(metadata), stringSize(metadata), ttl, version)
}

func kvDelete(store, key string, version int64) int32 {
	return importKVDelete(stringPointer(store), stringSize(store), stringPointer(key), stringSize(key), version)
}

func kvAdd(store, key string, delta int64, sum *int64) int32 {
	return importKVAdd(stringPointer(store), stringSize(store), stringPointer(key), stringSize(key), delta, unsafe.Pointer(sum))
}

func kvList(store, prefix, cursor string, limit int32, buf []byte) int64 {
	return importKVList(stringPointer(store), stringSize(store), stringPointer(prefix), stringSize(prefix), stringPointer(cursor), stringSize(cursor),
		limit, pointer(buf), size(buf))
}

func kvPage(buf []byte) int64 { return importKVPage(pointer(buf), size(buf)) }

func pointer(b []byte) unsafe.Pointer       { return unsafe.Pointer(unsafe.SliceData(b)) }
func size(b []byte) uint32                  { return uint32(len(b)) }
func stringPointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }
func stringSize(s string) uint32            { return uint32(len(s)) }
