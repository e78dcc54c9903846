// Command oom shows what becomes of a request that needs more memory than its service may use: the last segment of the path says
// how many kilobytes (of 1024 bytes) to allocate.
//
//	.../10       fits: 200
//	.../100000   does not: the Go runtime gives up, the host answers 500, and the next request finds everything as before
package main

import (
	"strconv"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

func init() { guest.Handle(handle) }

// maxKilobytes is where WebAssembly's own limit of 4 GiB comes into sight.
const maxKilobytes = 4<<20 - 1

// hostPageBytes is the smallest piece of memory that the operating system gives.
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

// kept makes sure that the compiler does not find a way to do without the memory.
var kept []byte

// allocate takes memory and writes to each host page of it, or else the operating system would not have to give them.
func allocate(sizeBytes int) {
	kept = make([]byte, sizeBytes)
	for i := 0; i < len(kept); i += hostPageBytes {
		kept[i] = 1
	}
}

func main() {}
