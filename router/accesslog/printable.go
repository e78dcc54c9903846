package accesslog

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const ellipsis = "…"

// printable makes untrusted text safe for terminals, in any log format. Line breaks and tabs become
// spaces. Other control and formatting characters, such as bidirectional overrides, and invalid UTF-8
// become U+FFFD. The result has at most maxBytes bytes. Plain ASCII text is returned unchanged.
func printable(s string, maxBytes int) string {
	if len(s) <= maxBytes && isPlain(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			r = ' '
		case !unicode.IsPrint(r):
			r = utf8.RuneError
		}
		b.WriteRune(r)
		if b.Len() > maxBytes {
			return truncate(b.String(), maxBytes)
		}
	}
	return b.String()
}

// truncate cuts s, which must be UTF-8, between characters to at most maxBytes bytes including an ellipsis.
func truncate(s string, maxBytes int) string {
	end := max(0, maxBytes-len(ellipsis))
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

func isPlain(s string) bool { return traitsOf(s)&unprintable == 0 }

// traits are what a format must know of a text before it takes it as it is.
type traits uint8

const (
	unprintable traits = 1 << iota // has a byte that is not printable ASCII
	escaped                        // has one that JSON escapes
	quoted                         // has one for which the text format needs quotes
)

var traitsOfBytes = func() (all [256]traits) {
	for b := range all {
		switch {
		case b < ' ' || b > '~':
			all[b] = unprintable
		case b == '"':
			all[b] = escaped | quoted
		case b == '\\':
			all[b] = escaped
		case b == ' ' || b == '=':
			all[b] = quoted
		}
	}
	return all
}()

// traitsOf returns the traits of all bytes of s.
func traitsOf(s string) (t traits) {
	for i := range len(s) {
		t |= traitsOfBytes[s[i]]
	}
	return t
}
