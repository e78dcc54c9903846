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

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/problem"
)

// indexName is the file that stands for its directory.
const indexName = "index.html"

var (
	errNotFound   = errors.New("no such file")
	errNeedsSlash = errors.New("the path of a directory has no slash at its end")
)

func notFound(cause error) error {
	return problem.New(problem.NotFound, "there is no such file").WithCause(errors.Join(errNotFound, cause))
}

// target is what the path of a request leads to.
type target struct {
	name  string // below the directory, with slashes; "." for the directory itself
	slash bool   // the path ends in a slash: a directory is meant
}

// resolve reads the escaped path after the prefix. ok is false for names that begin with a dot, and for segments that mean something else to a
// file system than to a URL: no file is looked for by those. The target has their name all the same.
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
	case !filepath.IsLocal(filepath.FromSlash(name)): // reserved names of the system
		return t, false
	}
	return t, true
}

// file is a regular file that is open for reading.
type file struct {
	*os.File
	name string // below the directory, with slashes
	info fs.FileInfo
}

// tree is the directory of a service, as one request sees it.
type tree struct{ dir *os.Root }

// find opens what a target leads to. The error is errNeedsSlash or a problem, one with errNotFound where there is nothing.
func (d tree) find(t target) (*file, error) {
	f, err := d.openAny(t.name)
	switch {
	case err != nil:
		return nil, err
	case f.info.Mode().IsRegular() && !t.slash:
		return f, nil
	}
	_ = f.Close() // it was read only
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

// openProblem tells what the server lacks from what is not there. Links that lead out and files that may not be read are not there.
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

// redirect leads to the same path with a slash, on which relative links in an index depend. The Location is relative, so that it is right
// whatever is in front of the server.
func redirect(w http.ResponseWriter, r *http.Request, rec *accesslog.Record) {
	at := rec.Prefix + rec.Rest
	location := "./" + at[strings.LastIndexByte(at, '/')+1:] + "/" // without the dot, a colon would make a scheme of it
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", location)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusMovedPermanently)
}
