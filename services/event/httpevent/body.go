package httpevent

import (
	"encoding/base64"
	"fmt"
	"io"
	"unicode/utf8"
)

// writeBody writes the member "body" with its value and a comma. Without encode, the
// body must be UTF-8, and only quotes, backslashes and control characters are escaped.
func writeBody(w io.Writer, body [][]byte, encode bool) error {
	if _, err := io.WriteString(w, `"body":"`); err != nil {
		return err
	}
	to := io.WriteCloser(quoter{w})
	if encode {
		to = base64.NewEncoder(base64.StdEncoding, w)
	}
	for _, piece := range body {
		if _, err := to.Write(piece); err != nil {
			return err
		}
	}
	if err := to.Close(); err != nil {
		return err
	}
	_, err := io.WriteString(w, `",`)
	return err
}

// quoter escapes bytes that may not appear in a JSON string.
type quoter struct{ to io.Writer }

// Write implements io.Writer.
func (q quoter) Write(p []byte) (int, error) {
	begin := 0
	for i, c := range p {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		if _, err := q.to.Write(p[begin:i]); err != nil {
			return begin, err
		}
		if _, err := io.WriteString(q.to, quoted(c)); err != nil {
			return begin, err
		}
		begin = i + 1
	}
	if _, err := q.to.Write(p[begin:]); err != nil {
		return begin, err
	}
	return len(p), nil
}

// Close implements io.Closer.
func (q quoter) Close() error { return nil }

func quoted(c byte) string {
	switch c {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	case '"', '\\':
		return `\` + string(rune(c))
	}
	return fmt.Sprintf(`\u%04x`, c)
}

// validUTF8 reports whether the concatenated pieces are valid UTF-8. A character may be split between pieces.
func validUTF8(body [][]byte) bool {
	var cut []byte // start of a split character
	for _, piece := range body {
		for len(cut) > 0 && len(piece) > 0 && !utf8.FullRune(cut) {
			cut, piece = append(cut, piece[0]), piece[1:]
		}
		if len(cut) > 0 && utf8.FullRune(cut) {
			if !utf8.Valid(cut) {
				return false
			}
			cut = nil
		}
		end := len(piece)
		for back := 1; back < utf8.UTFMax && back <= len(piece); back++ {
			if c := piece[len(piece)-back]; utf8.RuneStart(c) {
				if !utf8.FullRune(piece[len(piece)-back:]) {
					end = len(piece) - back
				}
				break
			}
		}
		if !utf8.Valid(piece[:end]) {
			return false
		}
		cut = append(cut, piece[end:]...)
	}
	return len(cut) == 0
}

// escaped escapes the non-ASCII bytes of a path or query. Some clients send them unescaped.
func escaped(s string) string {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	if ascii {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		if c := s[i]; c < utf8.RuneSelf {
			b = append(b, c)
		} else {
			b = fmt.Appendf(b, "%%%02X", c)
		}
	}
	return string(b)
}
