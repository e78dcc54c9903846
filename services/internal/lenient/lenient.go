// Package lenient reads what programs and editors write a little differently from each other: text that is not UTF-8, a byte order mark,
// whole numbers with a fraction.
package lenient

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Text returns s if it is UTF-8. Else it takes each byte that is not part of a UTF-8 sequence as ISO 8859-1, as HTTP's fields once were: JSON
// can carry the result, and no byte is lost.
func Text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string(JSON([]byte(s)))
}

// JSON returns a document without the byte order mark with which some editors begin it, and in UTF-8 as by Text. encoding/json would replace
// other bytes by U+FFFD.
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

// Whole returns the whole number that a JSON number stands for, in any form: 200, 200.0 and 2e2 are one.
func Whole(number string) (n int, ok bool) {
	if !json.Valid([]byte(number)) { // as strconv takes more: signs, infinities, other bases
		return 0, false
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != float64(int32(f)) {
		return 0, false
	}
	return int(f), true
}
