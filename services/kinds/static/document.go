package static

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/services/internal/document"
)

// Document is the configuration of a static service. The catalogue stores it as JSON; see [Document.Encode].
type Document struct {
	Directory    string `json:"directory"`               // below the server's root
	Fallback     string `json:"fallback,omitempty"`      // file below the directory that is served for missing pages
	CacheControl string `json:"cache_control,omitempty"` // value of the Cache-Control header
}

// Encode returns the canonical form. Equal documents encode to the same bytes, so they have equal digests.
func (d Document) Encode() []byte {
	d.Directory, d.Fallback = cleaned(d.Directory), cleaned(d.Fallback)
	return document.Encode(d)
}

// cleaned returns the canonical form of a local path. Other paths stay unchanged, and check refuses them.
func cleaned(name string) string {
	if !filepath.IsLocal(name) {
		return name
	}
	return filepath.ToSlash(filepath.Clean(name))
}

// Decode parses a document. It checks the syntax only: the values are checked at
// deployment. The error is safe to return to the client.
func Decode(text []byte) (Document, error) {
	var d Document
	err := document.Decode(text, &d, "static files")
	return d, err
}

// check returns all violations. Missing files are detected when they are opened.
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

// hidden reports whether a path below the directory has a segment that begins with a
// dot. The first segment may be ".well-known", RFC 8615.
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
