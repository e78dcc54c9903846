package static

import (
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
)

// Document is the configuration of a static service: the fields of [Description].
type Document struct {
	Directory    string `json:"static"`                  // below the server's root
	Fallback     string `json:"fallback,omitempty"`      // file below the directory that is served for missing pages
	CacheControl string `json:"cache_control,omitempty"` // value of the Cache-Control header
}

// Description describes the kind.
func Description() schema.Kind {
	return schema.Kind{
		Name:  KindName,
		Title: "a directory of files",
		Forms: []schema.Form{{Requires: []string{fieldStatic}, Fields: fields()}},
	}
}

// Names of fields that violations are about.
const (
	fieldStatic       = "static"
	fieldFallback     = "fallback"
	fieldCacheControl = "cache_control"
)

func fields() []schema.Field {
	return []schema.Field{
		{
			Name:    fieldStatic,
			Type:    schema.Path,
			Form:    "DIR",
			Help:    "Answer with the files of this directory, below the server's --root.",
			Example: "site",
		},
		{
			Name:    fieldFallback,
			Type:    schema.Path,
			Form:    "FILE",
			Help:    "Answer with this file where a page does not exist, such as index.html of an application that has its own router.",
			Example: "index.html",
		},
		{
			Name:    fieldCacheControl,
			Type:    schema.Text,
			Form:    "VALUE",
			Help:    "Send this Cache-Control header, such as max-age=3600.",
			Example: "max-age=3600",
		},
	}
}

// Encode returns the manifest. Equal documents have equal manifests.
func (d Document) Encode() registry.Manifest { return schema.Encode(fields(), d) }

// Decode reads a manifest. It checks the syntax only: the values are checked at
// deployment. The error is safe to return to the client.
func Decode(m registry.Manifest) (Document, error) { return schema.Decode[Document](m) }

// check returns all violations. Missing files are detected when they are opened.
func (d Document) check() (violations problem.Violations) {
	if !filepath.IsLocal(d.Directory) {
		violations.Add(fieldStatic, "is %.100q: it must be a directory below the server's root, such as site", d.Directory)
	}
	if d.Fallback != "" && (!filepath.IsLocal(d.Fallback) || hidden(d.Fallback)) {
		violations.Add(fieldFallback, "is %.100q: it must be a file below the directory, such as index.html", d.Fallback)
	}
	if strings.ContainsFunc(d.CacheControl, func(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f }) || len(d.CacheControl) > 1<<10 {
		violations.Add(fieldCacheControl, "is %.100q: it must be the value of a header, such as max-age=3600", d.CacheControl)
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
