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
