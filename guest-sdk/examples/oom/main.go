// Command oom shows a request that needs more memory than its service may use. The last segment of the path is the number
// of kilobytes (of 1024 bytes) to allocate.
//
//	.../10       fits: status 200
//	.../100000   does not fit: the Go runtime exits, the host responds with status 500, and the next request is not affected
package main

import (
	"strconv"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

func init() { guest.Handle(handle) }

// maxKilobytes keeps the allocation below 4 GiB, the limit of WebAssembly's memory.
const maxKilobytes = 4<<20 - 1

// hostPageBytes is the page size of the operating system.
const hostPageBytes = 4096

func handle(w *guest.Response, r *guest.Request) {
	path := r.Path()
	kilobytes, err := strconv.Atoi(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil || kilobytes < 0 || kilobytes > maxKilobytes {
		w.Text(400, "the last path segment must be a number of kilobytes, at most "+strconv.Itoa(maxKilobytes)+"\n")
		return
	}
	allocate(kilobytes << 10)
	w.Text(200, "successfully allocated "+strconv.Itoa(kilobytes)+"kb of memory\n")
}

// kept prevents the compiler from removing the allocation.
var kept []byte

// allocate allocates memory and writes to each page of it. The operating system provides a page only when it is written.
func allocate(sizeBytes int) {
	kept = make([]byte, sizeBytes)
	for i := 0; i < len(kept); i += hostPageBytes {
		kept[i] = 1
	}
}

func main() {}
