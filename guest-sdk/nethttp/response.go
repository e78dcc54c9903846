package nethttp

import (
	"io"
	"net/http"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

// responseWriter implements http.ResponseWriter. The guest's response does the buffering.
type responseWriter struct {
	guest       *guest.Response
	header      http.Header
	trailers    []string // names in the Trailer header
	status      int
	wroteHeader bool
	head        bool // the method is HEAD: the body is discarded
}

var (
	_ http.Flusher  = (*responseWriter)(nil)
	_ io.ReaderFrom = (*responseWriter)(nil)
)

func (w *responseWriter) Header() http.Header { return w.header }

// WriteHeader passes the status and the header to the host, which sends them with the first bytes of the body.
func (w *responseWriter) WriteHeader(status int) {
	if w.wroteHeader {
		guest.Log(guest.LevelWarn, "nethttp: superfluous call of WriteHeader")
		return
	}
	if status < 200 {
		return // http-wasm cannot send informational responses
	}
	w.wroteHeader = true
	w.status = status
	w.guest.SetStatus(status)
	for _, list := range w.header.Values("Trailer") {
		for name := range strings.SplitSeq(list, ",") {
			w.trailers = append(w.trailers, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	for name, values := range w.header {
		if w.isTrailer(name) {
			continue
		}
		for _, value := range values {
			w.guest.Header.Add(name, value)
		}
	}
}

func (w *responseWriter) isTrailer(name string) bool {
	if strings.HasPrefix(name, http.TrailerPrefix) {
		return true
	}
	for _, trailer := range w.trailers {
		if trailer == name {
			return true
		}
	}
	return false
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if err := w.prepare(p); err != nil {
		return 0, err
	}
	if w.head {
		return len(p), nil
	}
	return w.guest.Write(p)
}

func (w *responseWriter) WriteString(s string) (int, error) {
	if !w.wroteHeader {
		return w.Write([]byte(s)) // Write detects the content type
	}
	if err := w.prepare(nil); err != nil {
		return 0, err
	}
	if w.head {
		return len(s), nil
	}
	return w.guest.WriteString(s)
}

// ReadFrom copies through the guest's buffer, so that io.Copy does not allocate one. The first bytes are read separately
// to detect the content type.
func (w *responseWriter) ReadFrom(from io.Reader) (int64, error) {
	first := make([]byte, sniffBytes)
	n, err := from.Read(first)
	if n > 0 {
		if _, err := w.Write(first[:n]); err != nil {
			return 0, err
		}
	}
	if err == io.EOF {
		return int64(n), nil
	}
	if err != nil {
		return int64(n), err
	}
	if w.head || !w.wroteHeader {
		more, err := io.Copy(struct{ io.Writer }{w}, from)
		return int64(n) + more, err
	}
	more, err := w.guest.ReadFrom(from)
	return int64(n) + more, err
}

// sniffBytes is the number of bytes that http.DetectContentType considers.
const sniffBytes = 512

// prepare writes the header before the first bytes of the body. It detects the content type if the handler set neither
// Content-Type nor Content-Encoding.
func (w *responseWriter) prepare(first []byte) error {
	if !w.wroteHeader {
		_, typed := w.header["Content-Type"]
		if !typed && len(first) > 0 && w.header.Get("Content-Encoding") == "" {
			w.header.Set("Content-Type", http.DetectContentType(first))
		}
		w.WriteHeader(http.StatusOK)
	}
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return http.ErrBodyNotAllowed
	}
	return nil
}

// Flush sends the buffered bytes. The header is not sent before the first bytes of the body.
func (w *responseWriter) Flush() {
	if !w.wroteHeader {
		w.WriteHeader(http.StatusOK)
	}
	w.guest.Flush()
}

// finish sends the buffered bytes and sets the trailers.
func (w *responseWriter) finish() {
	w.Flush()
	for name, values := range w.header {
		if !w.isTrailer(name) {
			continue
		}
		name = strings.TrimPrefix(name, http.TrailerPrefix)
		for _, value := range values {
			w.guest.Trailer.Add(name, value)
		}
	}
}
