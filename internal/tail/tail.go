// Package tail keeps the end of a text that may be long, such as the output of a program.
package tail

import (
	"slices"
	"sync"
)

// Writer keeps the last bytes written to it. It is safe for concurrent use.
type Writer struct {
	limit int // immutable; in bytes

	mu   sync.Mutex
	text []byte // guarded by mu; at most limit bytes
}

// New returns an empty Writer that keeps limit bytes.
func New(limit int) *Writer { return &Writer{limit: limit} }

// Write implements io.Writer and never fails.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(p)
	p = p[max(0, len(p)-w.limit):]
	if over := len(w.text) + len(p) - w.limit; over > 0 {
		w.text = w.text[:copy(w.text, w.text[over:])]
	}
	w.text = append(w.text, p...)
	return n, nil
}

// Bytes returns a copy of the kept bytes.
func (w *Writer) Bytes() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.text)
}

// String returns the kept bytes as a string.
func (w *Writer) String() string { return string(w.Bytes()) }
