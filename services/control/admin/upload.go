package admin

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
)

// pace is the slowest acceptable upload.
type pace struct {
	stall          time.Duration // maximum time without a byte
	bytesPerSecond int64         // minimum on average, after the first stall
}

// pacedBody reads a request body and extends the connection's read deadline while bytes arrive. The allowed
// time grows with the size, and uploads that stall or trickle are aborted.
type pacedBody struct {
	io.ReadCloser
	setDeadline func(time.Time) error // sets the connection's read deadline
	pace        pace
	start       time.Time
	received    int64
}

// newPacedBody paces the body of a request on the connection of rc. After reading it, call finish or close
// the connection.
func newPacedBody(body io.ReadCloser, rc *http.ResponseController, p pace) *pacedBody {
	return &pacedBody{ReadCloser: body, setDeadline: rc.SetReadDeadline, pace: p, start: time.Now()}
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (int, error) {
	earned := time.Duration(b.received/b.pace.bytesPerSecond) * time.Second
	deadline := b.start.Add(b.pace.stall + earned)
	if next := time.Now().Add(b.pace.stall); next.Before(deadline) {
		deadline = next
	}
	if err := b.setDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	b.received += int64(n)
	return n, err
}

// finish removes the read deadline. If it passed while the module is compiled, the client would seem to have
// disconnected.
func (b *pacedBody) finish() {
	_ = b.setDeadline(time.Time{})
}

// bodyProblem returns the problem for an error from reading a body.
func bodyProblem(err error, b *pacedBody) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return problem.From(err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem.Newf(problem.RequestTimeout,
			"the upload stalled after %d bytes and was given up; nothing was changed", b.received).WithCause(err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return problem.Newf(problem.BadRequest,
			"the request body ended early, after %d bytes; nothing was changed", b.received).WithCause(err)
	}
	return problem.Newf(problem.BadRequest, "the request body could not be read beyond %d bytes; nothing was changed", b.received).WithCause(err)
}
