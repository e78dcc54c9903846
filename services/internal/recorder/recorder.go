// Package recorder keeps the answer of a service that is called without a client's connection.
package recorder

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/vespo-dev/vespo/services/internal/budget"
)

// ErrFull is what a service gets that writes more than is kept.
var ErrFull = errors.New("the answer is larger than can be kept")

// Recorder is an http.ResponseWriter that keeps an answer up to a limit, in memory that is taken from a budget. Make it with New. As any
// http.ResponseWriter, it is not safe for concurrent use.
type Recorder struct {
	budget *budget.Budget // immutable
	limit  int64          // immutable; bytes of the body
	header http.Header

	Status int         // 0 as long as the answer has not begun
	Sent   http.Header // the header as it was then
	Body   bytes.Buffer
	Held   int64 // bytes that have to be given back to the budget
	Full   bool  // the answer is larger than can be kept
}

// New gives an empty recorder.
func New(b *budget.Budget, limit int64) *Recorder {
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
	if more := need - w.Held; more > 0 {
		more = max(more, min(w.Held, 1<<20)) // a buffer grows by doubling
		if !w.budget.Take(more) {
			w.Full = true
			return 0, ErrFull
		}
		w.Held += more
	}
	return w.Body.Write(p)
}

// FlushError makes http.ResponseController's Flush work.
func (w *Recorder) FlushError() error {
	w.WriteHeader(http.StatusOK)
	return nil
}
