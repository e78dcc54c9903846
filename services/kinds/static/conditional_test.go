package static

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzRanges(f *testing.F) {
	for _, seed := range []string{"bytes=0-1", "bytes=-0", "BYTES= ,1-2,-3", "bytes=9-1", "bytes=99999999999999999999-", "x=1-2", "bytes=1-2-3"} {
		f.Add(seed)
	}
	s := func(ranges string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Range", ranges)
		w := httptest.NewRecorder()
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("0123456789"))
		return w
	}
	f.Fuzz(func(t *testing.T, field string) {
		normal, count := parseRanges(field, 10)
		if normal == "" || count > maxRanges {
			return
		}
		w := s(normal)
		require.Contains(t, []int{http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable}, w.Code, "%q: %q", field, normal)
		if w.Code == http.StatusPartialContent {
			require.NotEmpty(t, w.Body.String(), "%q", normal)
			require.NotContains(t, w.Header().Get("Content-Range"), "10-9")
		}
		if w.Code == http.StatusRequestedRangeNotSatisfiable {
			require.Equal(t, "bytes */10", w.Header().Get("Content-Range"), "%q: it was understood", normal)
		}
	})
}
