// Command varying-allocations is a workload for benchmarks. The last segment of the path is the number of kilobytes (of
// 1024 bytes) to allocate. The memory is allocated in pieces of different sizes, filled and kept until the request ends.
//
//	.../1, .../10, .../50   status 200, with the number of bytes and pieces
package main

import (
	"strconv"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

func init() { guest.Handle(handle) }

// maxKilobytes keeps the workload within the memory of a small service.
const maxKilobytes = 1024

// The pieces have 16, 32, 64 ... 4096 bytes, then 16 again.
const (
	minPieceBytes = 16
	maxPieceBytes = 4096
)

func handle(w *guest.Response, r *guest.Request) {
	path := r.Path()
	kilobytes, err := strconv.Atoi(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil || kilobytes < 1 || kilobytes > maxKilobytes {
		w.Text(400, "the last path segment must be a number of kilobytes, from 1 to "+strconv.Itoa(maxKilobytes)+"\n")
		return
	}
	pieces := allocate(kilobytes << 10)
	w.Text(200, "allocated "+strconv.Itoa(total(pieces))+" bytes in "+strconv.Itoa(len(pieces))+" pieces\n")
}

// allocate allocates and fills pieces with a total size of sizeBytes. The last piece is cut to fit.
func allocate(sizeBytes int) (pieces [][]byte) {
	for size := minPieceBytes; sizeBytes > 0; size *= 2 {
		if size > maxPieceBytes {
			size = minPieceBytes
		}
		piece := make([]byte, min(size, sizeBytes))
		for i := range piece {
			piece[i] = byte(len(pieces))
		}
		pieces = append(pieces, piece)
		sizeBytes -= len(piece)
	}
	return pieces
}

func total(pieces [][]byte) (sizeBytes int) {
	for _, piece := range pieces {
		sizeBytes += len(piece)
	}
	return sizeBytes
}

func main() {}
