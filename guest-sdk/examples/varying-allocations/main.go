// Command varying-allocations is a workload for benchmarks: it allocates as many kilobytes (of 1024 bytes) as the last segment of
// the path says, in pieces of many sizes, writes all of them, and holds them until the request ends.
//
//	.../1, .../10, .../50   200, with the number of bytes and of pieces
package main

import (
	"strconv"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

func init() { guest.Handle(handle) }

// maxKilobytes keeps the workload within what a small service may use.
const maxKilobytes = 1024

// Pieces are of 16, 32, 64 ... 4096 bytes, and of 16 again.
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

// allocate takes pieces until their sum is sizeBytes, the last one cut to fit, and fills each.
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
