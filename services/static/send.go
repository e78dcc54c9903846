package static

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/router/problem"
)

// maxRanges is how many ranges are answered at a time. Each has a header of its own, so that a request for many of one byte would be answered
// by many times its length; who asks for more gets the whole file, as RFC 9110, section 14.2, allows.
const maxRanges = 16

// send answers with the file, or with what the request's conditions and ranges make of it, and closes it.
func (d tree) send(w http.ResponseWriter, r *http.Request, f *file, cacheControl string) error {
	f, coding := d.variant(w, r, f)
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", typeOf(f.name))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Etag", etagOf(f.info, time.Now()))
	if cacheControl != "" {
		h.Set("Cache-Control", cacheControl)
	}
	if coding != "" {
		h.Set("Content-Encoding", coding)
	}
	if strings.Count(strings.Join(r.Header.Values("Range"), ","), ",") >= maxRanges {
		r.Header.Del("Range")
	}
	a := &answer{ResponseWriter: w, sizeBytes: f.info.Size()}
	http.ServeContent(a, r, "", f.info.ModTime(), f.File)
	return a.shortage(r, f)
}

// answer is what http.ServeContent writes to. It completes what that leaves out, and counts.
type answer struct {
	http.ResponseWriter
	sizeBytes int64 // of the whole file
	failed    bool  // the status has no content
	written   int64
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	h := a.Header()
	switch {
	case status == http.StatusOK: // it does not say so of what is compressed
		h.Set("Content-Length", strconv.FormatInt(a.sizeBytes, 10))
	case status >= http.StatusBadRequest: // 412 and 416 say all by their headers
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

// ReadFrom lets the connection take the file from the system.
func (a *answer) ReadFrom(src io.Reader) (int64, error) {
	n, err := io.Copy(a.ResponseWriter, src)
	a.written += n
	return n, err
}

// shortage returns an error if less was sent than was promised, which http.ServeContent does not report. The reason is the file's, where the
// file tells one; the client's reasons are known before.
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
