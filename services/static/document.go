package static

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/services/internal/document"
)

// Document says what a prefix is bound to. It is what the catalogue keeps, as JSON; see [Document.Encode].
type Document struct {
	Directory    string `json:"directory"`               // below the server's root
	Fallback     string `json:"fallback,omitempty"`      // file below the directory that answers for paths without one
	CacheControl string `json:"cache_control,omitempty"` // value of the header
}

// Encode gives the canonical form: the same binding is always the same bytes, and so has one digest.
func (d Document) Encode() []byte {
	d.Directory, d.Fallback = cleaned(d.Directory), cleaned(d.Fallback)
	return document.Encode(d)
}

// cleaned gives one spelling to a path that can have one; others stay, to be refused.
func cleaned(name string) string {
	if !filepath.IsLocal(name) {
		return name
	}
	return filepath.ToSlash(filepath.Clean(name))
}

// Decode reads a document. It looks at the form alone: what the members say is checked when it is deployed. The error is fit for
// the client.
func Decode(text []byte) (Document, error) {
	var d Document
	err := document.Decode(text, &d, "static files")
	return d, err
}

// check lists all that is wrong. Whether the files are there is found when they are opened.
func (d Document) check() (violations []string) {
	refuse := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	if !filepath.IsLocal(d.Directory) {
		refuse("static is %.100q: it must be a directory below the server's root, such as site", d.Directory)
	}
	if d.Fallback != "" && (!filepath.IsLocal(d.Fallback) || hidden(d.Fallback)) {
		refuse("fallback is %.100q: it must be a file below the directory, such as index.html", d.Fallback)
	}
	if strings.ContainsFunc(d.CacheControl, func(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f }) || len(d.CacheControl) > 1<<10 {
		refuse("cache_control is %.100q: it is not the value of a header, such as max-age=3600", d.CacheControl)
	}
	return violations
}

// hidden tells whether a path below the directory leads over a name that begins with a dot. The first segment may be ".well-known",
// RFC 8615.
func hidden(path string) bool {
	first := true
	for segment := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(segment, ".") && !(first && segment == ".well-known") {
			return true
		}
		first = false
	}
	return false
}
