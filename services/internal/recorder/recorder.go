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
	budget budget.Account // immutable
	limit  int64          // immutable; bytes of the body
	header http.Header

	Status int         // 0 as long as the answer has not begun
	Sent   http.Header // the header as it was then
	Body   bytes.Buffer
	Held   int64 // bytes that have to be given back to the budget
	Full   bool  // the answer is larger than can be kept
}

// New gives an empty recorder.
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

// grow makes room for a body of need bytes, by half as much again and one MiB at most. What is allocated is what is taken from the budget;
// the old buffer is too, for the moment in which both are there.
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

// maxSpare is how much more is allocated than is needed.
const maxSpare = 1 << 20

// FlushError makes http.ResponseController's Flush work.
func (w *Recorder) FlushError() error {
	w.WriteHeader(http.StatusOK)
	return nil
}
