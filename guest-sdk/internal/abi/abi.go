// Package abi provides the functions of the host as Go functions.
//
// In WebAssembly they call the imports of the http-wasm HTTP handler ABI, module "http_handler", and two functions of
// WASI. On other platforms they call a [Host], which tests provide.
//
// The functions have the semantics of the ABI. A function that fills a buffer returns the length of the value, and
// writes nothing if that exceeds the buffer. A list is a sequence of NUL-terminated strings; the result packs its count
// and its total length into one number, see [Pair].
package abi

// Kind selects one of the four header lists, or one of the two bodies (KindRequest, KindResponse).
type Kind uint32

const (
	KindRequest Kind = iota
	KindResponse
	KindRequestTrailers
	KindResponseTrailers
)

// Features for EnableFeatures.
const (
	FeatureBufferResponse = 2 // required to read the body or change the response of the next handler
	FeatureTrailers       = 4 // required to read or write trailers
)

// Pair splits a packed result into its upper 32 bits (a count, or end of file) and its lower 32 bits (a length in bytes).
func Pair(packed uint64) (upper uint32, sizeBytes int) {
	return uint32(packed >> 32), int(uint32(packed))
}

// Settle has the functions that prepare packages for requests. They are called before the host takes its snapshot, and must not
// call the host. Packages add theirs when they are initialised.
var Settle []func()

// Text returns the value that fill writes to a buffer. It calls fill again with a larger buffer if the value is long.
func Text(fill func(buf []byte) uint32) string {
	n := int(fill(scratch[:]))
	if n <= len(scratch) {
		return text(scratch[:n])
	}
	buf := make([]byte, n)
	if n = int(fill(buf)); n > len(buf) {
		return "" // the value has grown between the calls, which hosts must not do
	}
	return string(buf[:n])
}

// Bytes returns the value that fill writes to a buffer. If the value is long, again writes it to a larger one.
func Bytes(fill, again func(buf []byte) uint32) []byte {
	n := int(fill(scratch[:]))
	if n <= len(scratch) {
		return append(make([]byte, 0, n), scratch[:n]...)
	}
	buf := make([]byte, n)
	return buf[:min(int(again(buf)), n)]
}

// Names returns the names of a header list, in lower case.
func Names(kind Kind) []string {
	return List(func(buf []byte) uint64 { return HeaderNames(kind, buf) })
}

// Values returns all values of a header.
func Values(kind Kind, name string) []string {
	return List(func(buf []byte) uint64 { return HeaderValues(kind, name, buf) })
}

// List returns the list that fill writes to a buffer.
func List(fill func(buf []byte) uint64) []string { return SplitList(packed(fill)) }

// CanonicalNames is added to a kind for a list of fields with names like Content-Type.
const CanonicalNames Kind = 16

// RequestFields returns the fields of the request by one call of the host. It is nil unless the host is known to be Vespo.
var RequestFields func() [][2]string

// KnowHost sets RequestFields. It reports true.
func KnowHost() bool {
	RequestFields = func() [][2]string {
		return Fields(func(buf []byte) uint64 { return uint64(max(requestFields(KindRequest|CanonicalNames, buf), 0)) })
	}
	return true
}

// HeaderOf returns fields as a header of net/http, from their canonical names. Those of one name follow each other.
func HeaderOf(fields [][2]string) map[string][]string {
	h := make(map[string][]string, len(fields))
	values := Strings(len(fields)) // at most one allocation for all
	for from := 0; from < len(fields); {
		name, to := fields[from][0], from
		for ; to < len(fields) && fields[to][0] == name; to++ {
			values[to] = fields[to][1]
		}
		h[name] = values[from:to:to]
		from = to
	}
	return h
}

// Fields returns the list of names and values that fill writes to a buffer.
func Fields(fill func(buf []byte) uint64) [][2]string { return SplitFields(packed(fill)) }

// packed returns the bytes of a list that fill writes to a buffer, until the next call, and the number of strings.
func packed(fill func(buf []byte) uint64) (list []byte, count int) {
	buf := scratch[:]
	strings, n := Pair(fill(buf))
	if n > len(buf) {
		buf = make([]byte, n)
		if strings, n = Pair(fill(buf)); n > len(buf) {
			return nil, 0 // the list has grown between the calls, which hosts must not do
		}
	}
	return buf[:n], int(strings)
}

// SplitFields parses count NUL-terminated strings, a name and a value in turn. It returns fewer if b contains fewer.
func SplitFields(b []byte, count int) [][2]string {
	list := SplitList(b, count)
	return pairs(list[:len(list)&^1])
}

// SplitList parses count NUL-terminated strings. It returns fewer if b contains fewer.
func SplitList(b []byte, count int) []string {
	if count == 0 {
		return nil
	}
	all := text(b) // at most one allocation for all values
	values := Strings(min(count, len(all)))[:0]
	for start, i := 0, 0; i < len(all) && len(values) < count; i++ {
		if all[i] == 0 {
			values = append(values, all[start:i])
			start = i + 1
		}
	}
	return values
}
