// Package budget bounds the bytes that all requests of a server together may make it hold.
package budget

import (
	"errors"
	"io"
	"sync/atomic"
)

// ErrExhausted is the error of a Read that would hold more than is left.
var ErrExhausted = errors.New("too many bytes are held for other requests")

// ErrTooLong is the error of a Read of what is longer than its own limit.
var ErrTooLong = errors.New("longer than the limit")

// firstBytes is what a buffer begins with.
const firstBytes = 4 << 10

// Budget is a number of bytes. It is safe for concurrent use and never waits.
type Budget struct{ left atomic.Int64 }

// New gives a budget of so many bytes.
func New(bytes int64) *Budget {
	b := &Budget{}
	b.left.Store(bytes)
	return b
}

// Left is what nobody has taken.
func (b *Budget) Left() int64 { return b.left.Load() }

// Take takes n bytes, if they are left.
func (b *Budget) Take(n int64) bool {
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

// Give gives back n bytes that were taken.
func (b *Budget) Give(n int64) { b.left.Add(n) }

// Read reads all of r, at most limit bytes, into memory that is taken from the budget; held is what the caller has to give back,
// also after an error. With ErrTooLong, data is the beginning.
func (b *Budget) Read(r io.Reader, limit int64) (data []byte, held int64, err error) {
	for {
		if len(data) == cap(data) {
			size := min(max(int64(2*cap(data)), firstBytes), limit+1)
			if size == int64(cap(data)) {
				return data, held, ErrTooLong
			}
			if !b.Take(size - held) {
				return nil, held, ErrExhausted
			}
			held = size
			data = append(make([]byte, 0, size), data...)
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit:
			return data, held, ErrTooLong
		case errors.Is(err, io.EOF):
			return data, held, nil
		case err != nil:
			return nil, held, err
		}
	}
}
