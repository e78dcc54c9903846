package accesslog

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const ellipsis = "…"

// printable makes a string of a stranger's safe to be shown on a terminal, in any log format: line breaks and tabs become
// spaces, other control and formatting characters, bidirectional overrides among them, and bytes that are not UTF-8
// become U+FFFD. The result has at most maxBytes bytes. A plain string is returned as it is.
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

// truncate cuts s, which is UTF-8, between characters so that it has at most maxBytes bytes with an ellipsis.
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
