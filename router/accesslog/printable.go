package accesslog

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const ellipsis = "…"

// printable makes a string of a stranger's safe to be shown on a terminal, in any log format: control and formatting
// characters, bidirectional overrides among them, and bytes that are not UTF-8 become U+FFFD; the result has at most
// maxBytes bytes. A plain string is returned as it is.
func printable(s string, maxBytes int) string {
	if len(s) <= maxBytes && isPlain(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r)+len(ellipsis) > maxBytes {
			b.WriteString(ellipsis)
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
