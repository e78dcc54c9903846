package lenient

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	for given, want := range map[string]string{"": "", "plain": "plain", "café": "café", "caf\xe9": "café", "\xff\xfe": "ÿþ", "é\xe9": "Ã©é",
		"\xef\xbf\xbd": "\ufffd"} {
		require.Equal(t, want, Text(given))
	}
}

func TestJSON(t *testing.T) {
	for given, want := range map[string]string{"\ufeff{}": "{}", "{}": "{}", "\"\xe9\"": `"é"`, "\"é\xe9\"": `"éé"`, "\ufeff\"\xe9\"": `"é"`} {
		require.Equal(t, want, string(JSON([]byte(given))))
	}
}

func TestWhole(t *testing.T) {
	for given, want := range map[string]int{"200": 200, "200.0": 200, "2e2": 200, "2.00E+2": 200, "20000e-2": 200, "-1": -1, "0": 0} {
		n, ok := Whole(given)
		require.True(t, ok, given)
		require.Equal(t, want, n)
	}
	for _, bad := range []string{"", "200.5", "1e99", "1e400", "0x1p8", "+200", "0200", ".2e3", "2_00", "Inf", "NaN", `"200"`, "true", "[200]"} {
		_, ok := Whole(bad)
		require.False(t, ok, bad)
	}
}

// FuzzJSON checks that the result is UTF-8, and valid JSON
// exactly if the input without its byte order mark is.
func FuzzJSON(f *testing.F) {
	f.Add([]byte("{\"a\":\"\xe9\"}"))
	f.Add([]byte("\ufeff\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got := JSON(text)
		require.True(t, utf8.Valid(got))
		require.Equal(t, json.Valid(bytes.TrimPrefix(text, []byte("\ufeff"))), json.Valid(got))
	})
}
