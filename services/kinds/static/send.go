package static

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
)

// send answers with the file, or with the outcome of the request's conditions and
// ranges, and closes the file.
func (d tree) send(w http.ResponseWriter, r *http.Request, f *file, cacheControl string) error {
	f, coding := d.variant(w, r, f)
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", typeOf(f.name))
	h.Set("X-Content-Type-Options", "nosniff")
	now := time.Now()
	v := validatorsOf(f.info, now)
	h.Set("Etag", v.tag)
	if cacheControl != "" {
		h.Set("Cache-Control", cacheControl)
	}
	if coding != "" {
		h.Set("Content-Encoding", coding)
	}
	a := &answer{ResponseWriter: w, sizeBytes: f.info.Size(), undated: !v.dated}
	http.ServeContent(a, conditional(r, v, f.info.Size(), coding != ""), "", f.info.ModTime(), f.File)
	return a.shortage(r, f)
}

// answer is the ResponseWriter for http.ServeContent. It adds missing headers and counts the bytes written.
type answer struct {
	http.ResponseWriter
	sizeBytes int64 // of the whole file
	undated   bool  // Last-Modified is not sent
	failed    bool  // an error status, sent without content
	written   int64
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	h := a.Header()
	if a.undated {
		h.Del("Last-Modified")
	}
	switch {
	case status == http.StatusOK: // ServeContent does not set it for a compressed file
		h.Set("Content-Length", strconv.FormatInt(a.sizeBytes, 10))
	case status >= http.StatusBadRequest: // 412 and 416 need only their headers
		a.failed = true
		for _, name := range [...]string{"Content-Type", "Content-Encoding", "Etag", "Last-Modified", "Cache-Control"} {
			h.Del(name)
		}
		h.Set("Content-Length", "0")
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (a *answer) Write(p []byte) (int, error) {
	if a.failed {
		return len(p), nil
	}
	n, err := a.ResponseWriter.Write(p)
	a.written += int64(n)
	return n, err
}

// ReadFrom lets the connection use sendfile.
func (a *answer) ReadFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(a.ResponseWriter, src)
	a.written += n
	return n, err
}

// shortage returns an error if fewer bytes were sent than announced, which http.ServeContent does not
// report. It looks for the cause at the file only, because the caller handles client errors first.
func (a *answer) shortage(r *http.Request, f *file) error {
	promised, err := strconv.ParseInt(a.Header().Get("Content-Length"), 10, 64)
	if err != nil || r.Method == http.MethodHead || a.failed || a.written >= promised {
		return nil
	}
	now, err := f.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("look at the file: %w", err)
	case now.Size() < a.sizeBytes:
		err = fmt.Errorf("the file changed while it was sent: it has %d bytes, it had %d", now.Size(), a.sizeBytes)
	default:
		err = fmt.Errorf("the file could not be read to its end: %d of %d bytes were sent", a.written, promised)
	}
	return problem.New(problem.NotReady, "the file could not be sent whole; try again").WithCause(err)
}
