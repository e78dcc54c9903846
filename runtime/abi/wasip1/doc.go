// Package wasip1 is the system interface of guests: WASI preview 1 (wasi_snapshot_preview1) with real clocks, random
// numbers from crypto/rand, three standard streams, and the directories that were mounted for the service, to be read. There
// are no sockets, and no arguments of the host.
//
// It is our own because its state belongs to a request and not to an instance: arguments, environment, streams and open
// files are set for each request, and a guest that opens, closes or renumbers a descriptor does it for that request only.
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

// File types, as fdstat, filestat and directory entries have them.
const (
	typeUnknown   = 0
	typeDirectory = 3
	typeRegular   = 4
	typeLink      = 7
)
