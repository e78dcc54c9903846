package static

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/router"
)

// indexName is the file served for its directory.
const indexName = "index.html"

var (
	errNotFound   = errors.New("no such file")
	errNeedsSlash = errors.New("the path of a directory has no slash at its end")
)

func notFound(cause error) error {
	return problem.New(problem.NotFound, "there is no such file").WithCause(errors.Join(errNotFound, cause))
}

// target is the file or directory that a request path names.
type target struct {
	name  string // below the directory, slash-separated; "." for the directory itself
	slash bool   // the path ends in a slash, so it must be a directory
}

// resolve parses the escaped path after the prefix. It sets ok to false for names that
// begin with a dot, and for segments that mean something else to a file system than to
// a URL. Such files are never opened, but the target still has their name.
func resolve(rest string) (t target, ok bool) {
	t.name = "."
	escaped, rooted := strings.CutPrefix(rest, "/")
	if escaped == "" {
		t.slash = rooted
		return t, true
	}
	escaped, t.slash = strings.CutSuffix(escaped, "/")
	name, err := url.PathUnescape(escaped)
	if t.name = name; err != nil {
		t.name = escaped
		return t, false
	}
	switch {
	case strings.ContainsAny(name, "\\\x00") || hidden(name):
		return t, false
	case strings.Count(name, "/") != strings.Count(escaped, "/"): // an encoded slash
		return t, false
	case name == "" || strings.HasPrefix(name, "/") || strings.Contains(name, "//") || strings.HasSuffix(name, "/"):
		return t, false
	case !filepath.IsLocal(filepath.FromSlash(name)): // names reserved by the system
		return t, false
	}
	return t, true
}

// file is a regular file, open for reading.
type file struct {
	*os.File
	name string // below the directory, slash-separated
	info fs.FileInfo
}

// tree is the directory of a service as seen by one request.
type tree struct{ dir *os.Root }

// find opens the file of a target. The error is errNeedsSlash or a problem; the
// problem wraps errNotFound if there is no such file.
func (d tree) find(t target) (*file, error) {
	f, err := d.openAny(t.name)
	switch {
	case err != nil:
		return nil, err
	case f.info.Mode().IsRegular() && !t.slash:
		return f, nil
	}
	_ = f.Close() // read-only, so a close error does not matter
	switch {
	case !f.info.IsDir():
		return nil, notFound(nil)
	case !t.slash:
		return nil, errNeedsSlash
	}
	return d.open(path.Join(t.name, indexName))
}

// open opens a regular file.
func (d tree) open(name string) (*file, error) {
	f, err := d.openAny(name)
	if err == nil && !f.info.Mode().IsRegular() {
		_ = f.Close()
		return nil, notFound(nil)
	}
	return f, err
}

// openAny opens a file or a directory.
func (d tree) openAny(name string) (*file, error) {
	opened, err := regular.OpenIn(d.dir, filepath.FromSlash(name))
	if err != nil {
		return nil, openProblem(err)
	}
	info, err := opened.Stat()
	if err != nil {
		_ = opened.Close()
		return nil, err
	}
	return &file{File: opened, name: name, info: info}, nil
}

// openProblem maps an error of opening a file to a problem. Links that lead out and
// unreadable files count as not found.
func openProblem(err error) error {
	switch {
	case scarce.Own(err):
		p := problem.New(problem.NoCapacity, "too many files are open; try again").WithCause(err)
		p.RetryAfter = scarce.RetryAfter
		return p
	case errors.Is(err, syscall.EIO):
		return err
	}
	return notFound(err)
}

// redirect redirects to the same path with a trailing slash, which relative links in
// an index depend on. The Location is relative, so it is correct behind any proxy.
func redirect(w http.ResponseWriter, r *router.Request) {
	at := r.Prefix + r.Rest
	location := "./" + at[strings.LastIndexByte(at, '/')+1:] + "/" // without the dot, a colon would end a scheme
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", location)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusMovedPermanently)
}
