// Package lenient reads input that programs and editors write in different forms: text
// that is not UTF-8, a byte order mark, and whole numbers with a fraction.
package lenient

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Text returns s if it is valid UTF-8. Otherwise it decodes all of s as ISO 8859-1, the former
// encoding of HTTP fields. JSON can carry the result, and its reader can restore the bytes.
func Text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	decoded := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		decoded = utf8.AppendRune(decoded, rune(s[i]))
	}
	return string(decoded)
}

// JSON returns a document without a byte order mark. It decodes bytes outside of UTF-8 sequences as
// ISO 8859-1, because a program may put a text in that encoding into a document in UTF-8.
// encoding/json would replace them with U+FFFD.
func JSON(text []byte) []byte {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if utf8.Valid(text) {
		return text
	}
	decoded := make([]byte, 0, len(text)+len(text)/8)
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			r = rune(text[0])
		}
		decoded = utf8.AppendRune(decoded, r)
		text = text[n:]
	}
	return decoded
}

// Whole returns the integer value of a JSON number in any notation: 200, 200.0 and 2e2 are the same.
func Whole(number string) (n int, ok bool) {
	if !json.Valid([]byte(number)) { // strconv accepts more: signs, infinities, other bases
		return 0, false
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != float64(int32(f)) {
		return 0, false
	}
	return int(f), true
}
