// Package wasip1 is the system interface of guests: WASI preview 1 (wasi_snapshot_preview1) with real clocks, random
// numbers from crypto/rand, three standard streams, and nothing else. There are no files, no sockets, no arguments of
// the host.
//
// It is our own because its state belongs to a request and not to an instance: arguments, environment and streams are
// set for each request, and a guest that closes or renumbers a descriptor does it for that request only.
//
// Source of the format: the WebAssembly/WASI repository, legacy/preview1/witx.
package wasip1

// ModuleName is the name that guests import from.
const ModuleName = "wasi_snapshot_preview1"

// errno is a WASI error number.
type errno uint32

const (
	success    errno = 0
	errAgain   errno = 6
	errBadf    errno = 8
	errFault   errno = 21
	errInval   errno = 28
	errIO      errno = 29
	errNotdir  errno = 54
	errNotsup  errno = 58
	errSpipe   errno = 70
	errNotcap  errno = 76
	errNotsock errno = 57
)
