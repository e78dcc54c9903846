//go:build !wasip1

package abi

// Extension is implemented by a [Host] that provides the module "vespo". ABI.md specifies the functions.
type Extension interface {
	Prefix(buf []byte) uint32
	Rest(buf []byte) uint32
	RequestFields(kind Kind, buf []byte) int64
	ConfigGet(name string, buf []byte) int32
	FetchOpen(method, uri string) int32
	FetchAddFields(handle int32, list []byte) int32
	FetchWrite(handle int32, body []byte) int32
	FetchSend(handle int32) int32
	FetchFields(handle int32, kind Kind, buf []byte) int64
	FetchRead(handle int32, buf []byte) int64
	FetchClose(handle int32) int32
	KVGet(store, key string, buf []byte) int64
	KVEntry(part int32, buf []byte) int64
	KVPut(store, key string, value []byte, metadata string, ttlMilliseconds, version int64) int64
	KVDelete(store, key string, version int64) int32
	KVAdd(store, key string, delta int64, sum *int64) int32
	KVList(store, prefix, cursor string, limit int32, buf []byte) int64
	KVPage(buf []byte) int64
}
