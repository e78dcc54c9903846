//go:build !wasip1

package abi

// Extension is implemented by a [Host] that provides the module "vespo". ABI.md specifies the functions.
type Extension interface {
	Prefix(buf []byte) uint32
	Rest(buf []byte) uint32
	ConfigGet(name string, buf []byte) int32
	FetchOpen(method, uri string) int32
	FetchHeader(handle int32, name, value string) int32
	FetchWrite(handle int32, body []byte) int32
	FetchSend(handle int32) int32
	FetchHeaderNames(handle int32, kind Kind, buf []byte) int64
	FetchHeaderValues(handle int32, kind Kind, name string, buf []byte) int64
	FetchRead(handle int32, buf []byte) int64
	FetchClose(handle int32) int32
}
