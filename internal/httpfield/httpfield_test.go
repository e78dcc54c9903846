package httpfield

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesAreCanonical(t *testing.T) {
	for _, table := range []map[string]struct{}{single, additive} {
		for name := range table {
			require.Equal(t, http.CanonicalHeaderKey(name), name)
		}
	}
	for name := range additive {
		require.False(t, Single(name), name)
	}
}

func TestCollapse(t *testing.T) {
	h := http.Header{
		"Content-Type": {"a", "b"}, "Etag": {`"1"`}, "Date": nil, "Set-Cookie": {"a", "b"}, "X-Unknown": {"1", "2"}, "Cache-Control": {"no-cache", "no-store"},
		"Content-Length": {"1", "2"},
	}
	Collapse(h)
	require.Equal(t, http.Header{
		"Content-Type": {"b"}, "Etag": {`"1"`}, "Date": nil, "Set-Cookie": {"a", "b"}, "X-Unknown": {"1", "2"}, "Cache-Control": {"no-cache", "no-store"},
		"Content-Length": {"1", "2"},
	}, h, "what is not known to have one value is left alone")
}

func TestMerge(t *testing.T) {
	before := []string{"Origin", "spare"}[:1] // has room for another value
	defaults := http.Header{
		"Content-Type": {"text/plain"}, "Vary": before, "X-Mine": {"1"}, "X-Both": {"a"}, "Cache-Control": {"no-store"}, "Set-Cookie": {"a=1"},
	}
	own := http.Header{
		"Content-Type": nil, "Vary": {"Accept-Encoding"}, "X-Both": {"b", "c"}, "Cache-Control": {"max-age=1"}, "Set-Cookie": {"a=2"}, "Date": nil,
	}
	Merge(defaults, own)
	require.Equal(t, http.Header{
		"Content-Type": {"text/plain"}, "Vary": {"Origin", "Accept-Encoding"}, "X-Mine": {"1"}, "X-Both": {"b", "c"}, "Cache-Control": {"max-age=1"},
		"Set-Cookie": {"a=1", "a=2"}, "Date": nil,
	}, defaults)
	require.Equal(t, "spare", before[:2][1], "no value is written into the slice of another")
}
