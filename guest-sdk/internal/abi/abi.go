// Package abi is the seam between guest and host: the host's functions as plain Go functions.
//
// In WebAssembly they are imports of the http-wasm HTTP handler interface, module "http_handler", and two functions of WASI.
// Elsewhere they go to a [Host], which tests provide. The functions have the interface's semantics: those that fill a buffer
// give the value's real length, and write nothing if it exceeds the buffer; lists are NUL-terminated strings, count and total
// length being packed into one number (see [Pair]).
package abi

// Kind selects one of the four header lists, or one of the two bodies (KindRequest, KindResponse).
type Kind uint32

const (
	KindRequest Kind = iota
	KindResponse
	KindRequestTrailers
	KindResponseTrailers
)

// Features that are asked for by EnableFeatures.
const (
	FeatureBufferResponse = 2 // before the answer of what is behind the guest is read or changed
	FeatureTrailers       = 4 // before trailers are read or written
)

// Pair splits a packed result: the upper 32 bits (a count, or end of file) and the lower (a length in bytes).
func Pair(packed uint64) (upper uint32, sizeBytes int) {
	return uint32(packed >> 32), int(uint32(packed))
}

// scratch takes short answers of the host. It is not on the heap, so that reading a header leaves few host pages dirty; a guest
// serves one request at a time.
var scratch [2048]byte

// Text reads a value by a function that fills a buffer, and asks again with a larger buffer if need be.
func Text(fill func(buf []byte) uint32) string {
	n := int(fill(scratch[:]))
	if n <= len(scratch) {
		return string(scratch[:n])
	}
	buf := make([]byte, n)
	if n = int(fill(buf)); n > len(buf) {
		return "" // the host's value has grown meanwhile: not in any sane host
	}
	return string(buf[:n])
}

// Names reads the names in a header list, in lower case.
func Names(kind Kind) []string {
	return List(func(buf []byte) uint64 { return HeaderNames(kind, buf) })
}

// Values reads all values of one header.
func Values(kind Kind, name string) []string {
	return List(func(buf []byte) uint64 { return HeaderValues(kind, name, buf) })
}

// List reads a list by a function that fills a buffer.
func List(fill func(buf []byte) uint64) []string {
	buf := scratch[:]
	count, n := Pair(fill(buf))
	if n > len(buf) {
		buf = make([]byte, n)
		if count, n = Pair(fill(buf)); n > len(buf) {
			return nil
		}
	}
	return SplitList(buf[:n], int(count))
}

// SplitList parses count NUL-terminated strings; it gives fewer if there are fewer.
func SplitList(b []byte, count int) []string {
	if count == 0 {
		return nil
	}
	all := string(b) // one allocation for all
	values := make([]string, 0, min(count, len(all)))
	for start, i := 0, 0; i < len(all) && len(values) < count; i++ {
		if all[i] == 0 {
			values = append(values, all[start:i])
			start = i + 1
		}
	}
	return values
}
