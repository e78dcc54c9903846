package wasm_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestSmallRequestsWriteFewPages checks that a small request of the SDK writes to no memory but the stack, the generator of
// random numbers and the page of the request: no heap. Each page is restored after the request.
func TestSmallRequestsWriteFewPages(t *testing.T) {
	most := int64(6 * os.Getpagesize())
	s := newServer(t, wasm.Config{})
	s.add("/hello", guests.SDK(t, "hello"))
	for n := range 5 {
		a := s.do("GET", "/hello", "")
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Equal(t, "hello from /hello\n", a.Body)
		rec := s.Records.Nth(n + 1)
		if rec.DirtyBytes == 0 {
			t.Skip("written pages are not counted on this machine")
		}
		require.LessOrEqual(t, rec.DirtyBytes, most)
	}
}

// TestObjectsShareThePageOfTheirBitmap has a bound that a guest of net/http exceeds if its objects and the bitmaps of their spans are in
// different pages.
func TestObjectsShareThePageOfTheirBitmap(t *testing.T) {
	if os.Getpagesize() != 4<<10 {
		t.Skip("the SDK prepares memory for pages of 4 KiB")
	}
	s := newServer(t, wasm.Config{})
	s.add("/json", guests.SDK(t, "json"))
	for n := range 3 {
		require.Equal(t, http.StatusOK, s.do("GET", "/json/items/1", "").StatusCode)
		rec := s.Records.Nth(n + 1)
		if rec.DirtyBytes == 0 {
			t.Skip("written pages are not counted on this machine")
		}
		t.Logf("%d KiB", rec.DirtyBytes>>10)
		require.LessOrEqual(t, rec.DirtyBytes, int64(128<<10))
	}
}
