package budget

import (
	"bytes"
	"errors"
	"io"
)

// A chunk is as long as the data before it, within these limits, so that a slow client
// makes the server hold little more than it has sent.
const (
	minChunk = 4 << 10
	maxChunk = 128 << 10
)

// Body is data received in chunks. The zero value is empty.
type Body struct {
	chunks [][]byte // none empty
	size   int64
}

// BodyOf returns a body with the given bytes. It does not copy them.
func BodyOf(data []byte) Body {
	if len(data) == 0 {
		return Body{}
	}
	return Body{chunks: [][]byte{data}, size: int64(len(data))}
}

// Len returns the length in bytes.
func (b Body) Len() int64 { return b.size }

// Chunks returns the chunks in order, none of them empty. They must not be modified.
func (b Body) Chunks() [][]byte { return b.chunks }

// Bytes returns the whole body in one slice. It copies unless there is exactly one chunk.
func (b Body) Bytes() []byte {
	if len(b.chunks) == 1 {
		return b.chunks[0]
	}
	return bytes.Join(b.chunks, nil)
}

// Reader returns a reader of the whole body.
func (b Body) Reader() io.Reader {
	readers := make([]io.Reader, 0, len(b.chunks))
	for _, c := range b.chunks {
		readers = append(readers, bytes.NewReader(c))
	}
	return io.MultiReader(readers...)
}

// WriteTo implements io.WriterTo. It may be called more than once.
func (b Body) WriteTo(w io.Writer) (total int64, err error) {
	for _, c := range b.chunks {
		n, err := w.Write(c)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Writer collects a body in memory charged to an account. It is not safe for concurrent use.
type Writer struct {
	Body  Body
	Held  int64 // charged to the account; to be returned when Body is no longer needed
	from  Account
	limit int64
}

// Writer returns a writer for at most limit bytes.
func (a Account) Writer(limit int64) *Writer { return &Writer{from: a, limit: limit} }

// space returns the free end of the last chunk, at least one byte. The total allocation
// is one byte over the limit, so that a reader detects data that is too long.
func (w *Writer) space() ([]byte, error) {
	if last := len(w.Body.chunks) - 1; last >= 0 {
		if c := w.Body.chunks[last]; len(c) < cap(c) {
			return c[len(c):cap(c)], nil
		}
	}
	n := min(max(w.Body.size, minChunk), maxChunk, w.limit+1-w.Body.size)
	if n <= 0 {
		return nil, ErrTooLong
	}
	if !w.from.Take(n) {
		return nil, ErrExhausted
	}
	w.Held += n
	w.Body.chunks = append(w.Body.chunks, make([]byte, 0, n))
	return w.Body.chunks[len(w.Body.chunks)-1][:n], nil
}

// added records that n bytes of the space were filled.
func (w *Writer) added(n int) error {
	last := len(w.Body.chunks) - 1
	w.Body.chunks[last] = w.Body.chunks[last][:len(w.Body.chunks[last])+n]
	if w.Body.size += int64(n); w.Body.size > w.limit {
		return ErrTooLong
	}
	return nil
}

// Write implements io.Writer. The error is ErrTooLong or ErrExhausted.
func (w *Writer) Write(p []byte) (total int, err error) {
	for len(p) > 0 {
		free, err := w.space()
		if err != nil {
			return total, err
		}
		n := copy(free, p)
		total += n
		if err := w.added(n); err != nil {
			return total, err
		}
		p = p[n:]
	}
	return total, nil
}

// ReadFrom implements io.ReaderFrom. The error is ErrTooLong, ErrExhausted or that of r.
func (w *Writer) ReadFrom(r io.Reader) (total int64, err error) {
	for {
		free, err := w.space()
		if err != nil {
			return total, err
		}
		n, readErr := r.Read(free)
		total += int64(n)
		if err := w.added(n); err != nil {
			return total, err
		}
		switch {
		case errors.Is(readErr, io.EOF):
			w.trim()
			return total, nil
		case readErr != nil:
			return total, readErr
		}
	}
}

// trim drops an empty last chunk.
func (w *Writer) trim() {
	if last := len(w.Body.chunks) - 1; last >= 0 && len(w.Body.chunks[last]) == 0 {
		w.from.Give(int64(cap(w.Body.chunks[last])))
		w.Held -= int64(cap(w.Body.chunks[last]))
		w.Body.chunks = w.Body.chunks[:last]
	}
}

// Read reads all of r, at most limit bytes, into memory charged to the account. The
// caller must return held to the account, also after an error. With ErrTooLong, the
// body is the beginning of the data. With any other error it is empty.
func (a Account) Read(r io.Reader, limit int64) (body Body, held int64, err error) {
	w := a.Writer(limit)
	if _, err = w.ReadFrom(r); err != nil && !errors.Is(err, ErrTooLong) {
		return Body{}, w.Held, err
	}
	return w.Body, w.Held, err
}

// ReadAll is like Read but returns the bytes in one slice.
func (a Account) ReadAll(r io.Reader, limit int64) (data []byte, held int64, err error) {
	body, held, err := a.Read(r, limit)
	if len(body.chunks) <= 1 || err != nil && !errors.Is(err, ErrTooLong) {
		return body.Bytes(), held, err
	}
	if !a.Take(body.size) { // both copies are charged for a moment
		return nil, held, ErrExhausted
	}
	data = body.Bytes()
	a.Give(held)
	return data, body.size, err
}
