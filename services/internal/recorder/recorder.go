// Package recorder records the response of a service that is called without a client connection.
package recorder

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/vespo-dev/vespo/services/internal/budget"
)

// ErrFull is returned to a service that writes more than the recorder can hold.
var ErrFull = errors.New("the answer is larger than can be kept")

// Recorder is an http.ResponseWriter that records a response up to a limit, in memory taken from
// a budget. Create it with New. Like any http.ResponseWriter, it is not safe for concurrent use.
type Recorder struct {
	budget budget.Account // immutable
	limit  int64          // immutable; bytes of the body
	header http.Header

	Status int         // 0 before the response begins
	Sent   http.Header // the header at that moment
	Body   bytes.Buffer
	Held   int64 // bytes to return to the budget
	Full   bool  // the response is too large to record
}

// New returns an empty recorder.
func New(b budget.Account, limit int64) *Recorder {
	return &Recorder{budget: b, limit: limit, header: http.Header{}}
}

// Header implements http.ResponseWriter.
func (w *Recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *Recorder) WriteHeader(status int) {
	if w.Status == 0 && status >= 200 {
		w.Status, w.Sent = status, w.header.Clone()
	}
}

// Write implements http.ResponseWriter.
func (w *Recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	need := int64(w.Body.Len() + len(p))
	if need > w.limit || w.Full {
		w.Full = true
		return 0, ErrFull
	}
	if need > int64(w.Body.Cap()) && !w.grow(need) {
		w.Full = true
		return 0, ErrFull
	}
	return w.Body.Write(p)
}

// grow makes room for a body of need bytes plus half of it, at most maxSpare more. The
// budget is charged for the allocated size. The old buffer stays charged until it is copied.
func (w *Recorder) grow(need int64) bool {
	size := min(need+min(need/2, maxSpare), w.limit)
	if !w.budget.Take(size) {
		return false
	}
	grown := bytes.NewBuffer(make([]byte, 0, size))
	grown.Write(w.Body.Bytes())
	w.Body = *grown
	w.budget.Give(w.Held)
	w.Held = size
	return true
}

// maxSpare is the maximum allocation beyond the needed size, in bytes.
const maxSpare = 1 << 20

// FlushError supports Flush of http.ResponseController.
func (w *Recorder) FlushError() error {
	w.WriteHeader(http.StatusOK)
	return nil
}
