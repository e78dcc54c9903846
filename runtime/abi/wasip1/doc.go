// Package wasip1 implements WASI preview 1 (wasi_snapshot_preview1) for guests. It provides real
// clocks, random numbers from crypto/rand, the three standard streams, and read-only access to the
// directories mounted for the service. It provides no sockets, and none of the host's own arguments.
//
// Vespo has its own implementation because the state belongs to a request and not to an
// instance. Arguments, environment, streams and open files are set for each request. A
// guest that opens, closes or renumbers a descriptor does so for that request only.
//
// Source of the format: the WebAssembly/WASI repository, legacy/preview1/witx.
package wasip1

// ModuleName is the name that guests import from.
const ModuleName = "wasi_snapshot_preview1"

// errno is a WASI error number.
type errno uint32

const (
	success        errno = 0
	errAcces       errno = 2
	errBadf        errno = 8
	errInval       errno = 28
	errIO          errno = 29
	errIsdir       errno = 31
	errMfile       errno = 33
	errNametoolong errno = 37
	errNfile       errno = 41
	errNoent       errno = 44
	errNotdir      errno = 54
	errNotsock     errno = 57
	errNotsup      errno = 58
	errRofs        errno = 69
	errSpipe       errno = 70
	errNotcap      errno = 76
)

// File types in fdstat, filestat and directory entries.
const (
	typeUnknown   = 0
	typeDirectory = 3
	typeRegular   = 4
	typeLink      = 7
)
