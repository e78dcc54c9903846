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

func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
