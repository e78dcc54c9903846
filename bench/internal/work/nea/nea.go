// Package nea contains the workloads of nea (https://github.com/tweedegolf/nea): a static file, a path in SVG from points in CSV, and
// allocations of a size in the request.
package nea

import (
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// File returns the static file, of about 3 KiB.
func File() string {
	return "<!DOCTYPE html>\n<title>A page</title>\n" + strings.Repeat("<p>A paragraph of a page, again and again.</p>\n", 64)
}

// Static serves one file from memory.
func Static(file string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(file)))
		_, _ = io.WriteString(w, file) // the server handles write errors
	})
}

const limitBytes = 1 << 20

// Points returns a CSV file of 200 points.
func Points() string {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "%d,%d\n", i, i*i%97)
	}
	return b.String()
}

// Path draws a line through the points in the body.
func Path(w http.ResponseWriter, r *http.Request) {
	lines := csv.NewReader(http.MaxBytesReader(w, r.Body, limitBytes))
	lines.FieldsPerRecord, lines.ReuseRecord = 2, true
	var path strings.Builder
	command := "M"
	for {
		fields, err := lines.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, field := range fields {
			number, err := strconv.ParseFloat(field, 64)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			path.WriteString(command + strconv.FormatFloat(number, 'g', -1, 64))
			command = " "
		}
		command = "L"
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	fmt.Fprintf(w, "<svg xmlns=\"http://www.w3.org/2000/svg\"><path d=%q/></svg>\n", path.String())
}

// The pieces have 16, 32, 64 ... 4096 bytes, then 16 again.
const (
	minPiece     = 16
	maxPiece     = 4096
	maxKilobytes = 1024
)

// Allocate allocates and fills the number of kilobytes (of 1024 bytes) in the last segment of the path.
func Allocate(w http.ResponseWriter, r *http.Request) {
	kilobytes, err := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	if err != nil || kilobytes < 1 || kilobytes > maxKilobytes {
		http.Error(w, "the last path segment must be a number of kilobytes, from 1 to 1024", http.StatusBadRequest)
		return
	}
	var pieces [][]byte
	size, total := minPiece, 0
	for total < kilobytes<<10 {
		piece := make([]byte, min(size, kilobytes<<10-total))
		for i := range piece {
			piece[i] = byte(len(pieces))
		}
		pieces, total = append(pieces, piece), total+len(piece)
		if size *= 2; size > maxPiece {
			size = minPiece
		}
	}
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprintf(w, "allocated %d bytes in %d pieces\n", total, len(pieces))
}
