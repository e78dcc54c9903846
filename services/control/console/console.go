// Package console serves the console of the server: pages in which users see and change its services. They are
// static files. What they show comes from the management API, with the rights of the user's token.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// Path is the path of the console.
const Path = "/services/ui/"

//go:embed assets
var embedded embed.FS

// policy is the Content-Security-Policy of all files: scripts, styles, images and requests of this origin alone, and
// no text that becomes script or markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// file is one file of the console.
type file struct {
	mediaType string
	etag      string
	plain     []byte
	gzipped   []byte
}

// Console serves the files. It is immutable.
type Console struct {
	files map[string]file // by path
}

// New returns a Console.
func New() *Console {
	c := &Console{files: make(map[string]file)}
	for _, name := range names() {
		content, err := embedded.ReadFile(path.Join("assets", name))
		if err != nil {
			panic(fmt.Sprintf("the console's file %s is not embedded: %v", name, err))
		}
		c.files[pathOf(name)] = newFile(name, content)
	}
	return c
}

// Paths returns the paths of the files.
func Paths() (paths []string) {
	for _, name := range names() {
		paths = append(paths, pathOf(name))
	}
	return paths
}

func names() (names []string) {
	entries, err := fs.ReadDir(embedded, "assets")
	if err != nil {
		panic(fmt.Sprintf("the console's files are not embedded: %v", err)) // a directive of this package
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func pathOf(name string) string {
	if name == "index.html" {
		return Path
	}
	return Path + name
}

func newFile(name string, content []byte) file {
	digest := sha256.Sum256(content)
	f := file{
		mediaType: mediaType(name),
		etag:      `"` + base64.RawURLEncoding.EncodeToString(digest[:12]) + `"`,
		plain:     content,
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a valid level
	_, _ = z.Write(content)                               // to memory
	_ = z.Close()
	if b.Len() < len(content) {
		f.gzipped = b.Bytes()
	}
	return f
}

// mediaType returns the media type of a file by its extension. That of package mime depends on the machine.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

// Serve answers a GET or HEAD request for one of the paths. Write errors are ignored: the client is gone.
func (c *Console) Serve(w http.ResponseWriter, r *http.Request) error {
	f := c.files[r.URL.Path]
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("Cache-Control", "no-cache") // a new server has new files
	h.Set("Vary", "Accept-Encoding")
	body := f.plain
	etag := f.etag
	if f.gzipped != nil && acceptsGzip(r.Header) {
		body, etag = f.gzipped, strings.TrimSuffix(f.etag, `"`)+`-gzip"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", etag)
	if matches(r.Header, f.etag, etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", f.mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
	return nil
}

// acceptsGzip reports whether a client takes gzip, by a name or a wildcard with a weight above 0.
func acceptsGzip(h http.Header) bool {
	accepted := false
	for item := range strings.SplitSeq(strings.Join(h["Accept-Encoding"], ","), ",") {
		name, params, _ := strings.Cut(item, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "gzip" && name != "*" {
			continue
		}
		weight, given := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		accepted = !given || err == nil && q > 0
		if name == "gzip" {
			break
		}
	}
	return accepted
}

// matches reports whether the client has one of the two forms of a file.
func matches(h http.Header, etags ...string) bool {
	for item := range strings.SplitSeq(strings.Join(h["If-None-Match"], ","), ",") {
		item = strings.TrimPrefix(strings.TrimSpace(item), "W/")
		for _, etag := range etags {
			if item == etag || item == "*" {
				return true
			}
		}
	}
	return false
}
