package main

import (
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestVaryingAllocations(t *testing.T) {
	for _, test := range []struct {
		uri    string
		status int
		body   string
	}{
		{"/1", 200, "allocated 1024 bytes in 7 pieces\n"},
		{"/a/10?b=/50", 200, "allocated 10240 bytes in 17 pieces\n"},
		{"/50", 200, "allocated 51200 bytes in 62 pieces\n"},
		{"/0", 400, "the last path segment must be a number of kilobytes, from 1 to 1024\n"},
		{"/1025", 400, "the last path segment must be a number of kilobytes, from 1 to 1024\n"},
		{"/", 400, "the last path segment must be a number of kilobytes, from 1 to 1024\n"},
	} {
		answer := guesttest.Serve(&guesttest.Request{URI: test.uri})
		if answer.Status != test.status || answer.Body != test.body {
			t.Errorf("%s: %+v", test.uri, answer)
		}
	}
}

func TestAllocate(t *testing.T) {
	for sizeBytes := range 9_000 {
		pieces := allocate(sizeBytes)
		if total(pieces) != sizeBytes {
			t.Fatalf("%d bytes asked for, %d allocated", sizeBytes, total(pieces))
		}
		for i, piece := range pieces {
			if len(piece) == 0 || len(piece) > maxPieceBytes || piece[len(piece)-1] != byte(i) {
				t.Fatalf("%d bytes asked for: piece %d has %d bytes", sizeBytes, i, len(piece))
			}
		}
	}
}
