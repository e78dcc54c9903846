package httpfield

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNames checks all names of one more character against net/http, which leaves out invalid fields.
func TestNames(t *testing.T) {
	require.False(t, ValidName(""))
	for c := range rune(0x100) {
		var b bytes.Buffer
		name := "X" + string(c)
		require.NoError(t, http.Header{name: {"v"}}.Write(&b))
		require.Equal(t, b.Len() > 0, ValidName(name), "%q", c)
	}
	require.True(t, ValidName("content-Type"))
	require.False(t, ValidName("X-\xff"))
}

func TestValues(t *testing.T) {
	for _, value := range []string{"", "a b\tc", "é", "\xff", `"quoted"`, ",;=()"} {
		require.True(t, ValidValue(value), "%q", value)
	}
	for _, c := range "\x00\n\r\v\x1b\x1f\x7f" {
		require.False(t, ValidValue("a"+string(c)+"b"), "%q", c)
	}
}
