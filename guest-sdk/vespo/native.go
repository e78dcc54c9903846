//go:build !wasip1

package vespo

import "github.com/vespo-dev/vespo/guest-sdk/internal/abi"

// host returns the host of package guesttest, which implements the extension.
func host() abi.Extension { return abi.Current().(abi.Extension) }

func prefix(buf []byte) uint32                       { return host().Prefix(buf) }
func rest(buf []byte) uint32                         { return host().Rest(buf) }
func configGet(name string, buf []byte) int32        { return host().ConfigGet(name, buf) }
func fetchOpen(method, uri string) int32             { return host().FetchOpen(method, uri) }
func fetchAddFields(handle int32, list []byte) int32 { return host().FetchAddFields(handle, list) }
func fetchWrite(handle int32, body []byte) int32     { return host().FetchWrite(handle, body) }
func fetchSend(handle int32) int32                   { return host().FetchSend(handle) }
func fetchRead(handle int32, buf []byte) int64       { return host().FetchRead(handle, buf) }
func fetchClose(handle int32) int32                  { return host().FetchClose(handle) }

func fetchFields(handle int32, kind abi.Kind, buf []byte) int64 {
	return host().FetchFields(handle, kind, buf)
}

func kvGet(store, key string, buf []byte) int64       { return host().KVGet(store, key, buf) }
func kvEntry(part int32, buf []byte) int64            { return host().KVEntry(part, buf) }
func kvDelete(store, key string, version int64) int32 { return host().KVDelete(store, key, version) }
func kvAdd(store, key string, delta int64, sum *int64) int32 {
	return host().KVAdd(store, key, delta, sum)
}
func kvPage(buf []byte) int64 { return host().KVPage(buf) }

func kvPut(store, key string, value []byte, metadata string, ttl, version int64) int64 {
	return host().KVPut(store, key, value, metadata, ttl, version)
}

func kvList(store, prefix, cursor string, limit int32, buf []byte) int64 {
	return host().KVList(store, prefix, cursor, limit, buf)
}
