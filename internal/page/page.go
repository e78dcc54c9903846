package page

import (
	"html"
	"net/http"
	"strconv"
	"strings"
)

// Style is the style sheet of a page, for light and dark screens.
const Style = `:root{color-scheme:light dark;--ink:#1c1e21;--faint:#62676e;--paper:#fbfbfa;--line:#dfe1e4;--mark:#b3261e}` +
	`@media(prefers-color-scheme:dark){:root{--ink:#e7e8ea;--faint:#9aa0a8;--paper:#17181a;--line:#33363a;--mark:#f2a49d}}` +
	`body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}` +
	`main{max-width:38rem;margin:18vh auto 4rem;padding:0 1.5rem;overflow-wrap:anywhere}` +
	`h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25}` +
	`.code{margin:0;color:var(--mark);font-weight:600}` +
	`.id{margin-top:2rem;padding-top:.75rem;border-top:1px solid var(--line);color:var(--faint);font-size:.875rem}` +
	`code,pre{font:.9em ui-monospace,monospace}`

// styleDigest is the SHA-256 digest of Style in base64.
const styleDigest = "Rsp/9wPw1YmS8z8ijoCKGHX5wkMXU8XACWecULVSuyU="

// Policy is the Content-Security-Policy of a page: the style by its digest, and nothing else.
const Policy = "default-src 'none'; style-src 'sha256-" + styleDigest + "'; base-uri 'none'; form-action 'none'"

// Page is a page of the server itself. All fields are text, which Bytes escapes.
type Page struct {
	Code      int    // HTTP status
	Title     string // heading
	Text      string // paragraph
	List      []string
	Note      string // second paragraph
	RequestID string
}

// Bytes returns the page as HTML.
func (p *Page) Bytes() []byte {
	var b strings.Builder
	code := strconv.Itoa(p.Code)
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n")
	element(&b, "title", "", code+" "+p.Title)
	b.WriteString("<style>" + Style + "</style>\n</head>\n<body>\n<main>\n")
	element(&b, "p", "code", code)
	element(&b, "h1", "", p.Title)
	element(&b, "p", "", p.Text)
	if len(p.List) > 0 {
		b.WriteString("<ul>\n")
		for _, item := range p.List {
			element(&b, "li", "", item)
		}
		b.WriteString("</ul>\n")
	}
	element(&b, "p", "", p.Note)
	if p.RequestID != "" {
		b.WriteString("<p class=\"id\">Request <code>" + escape(p.RequestID) + "</code></p>\n")
	}
	b.WriteString("</main>\n</body>\n</html>\n")
	return []byte(b.String())
}

// element writes an element with text. It leaves out an empty one.
func element(b *strings.Builder, name, class, text string) {
	if text == "" {
		return
	}
	b.WriteString("<" + name)
	if class != "" {
		b.WriteString(" class=\"" + class + "\"")
	}
	b.WriteString(">" + escape(text) + "</" + name + ">\n")
}

// escape returns text for an element. Control characters, which HTML does not allow, become spaces.
func escape(text string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text))
}

// SetHeader sets the fields of a response with a page of n bytes.
func SetHeader(h http.Header, n int) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(n))
	h.Set("Content-Security-Policy", Policy)
}
