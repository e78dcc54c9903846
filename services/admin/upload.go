package admin

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/vespo-dev/vespo/router/problem"
)

// pace is how slow an upload may be.
type pace struct {
	stall          time.Duration // without a byte
	bytesPerSecond int64         // on the average, beyond the first stall
}

// pacedBody reads a request body and moves the connection's read deadline along while bytes flow, so that an upload may take as
// long as its size is worth, and one that stalls or trickles ends.
type pacedBody struct {
	io.ReadCloser
	setDeadline func(time.Time) error // of the connection
	pace        pace
	start       time.Time
	received    int64
}

// newPacedBody paces the body of a request on the connection of rc. When it has been read, finish must be called, or the
// connection closed.
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

// finish takes the read deadline away: left alone, it would count as the client's leaving while its module is compiled.
func (b *pacedBody) finish() {
	_ = b.setDeadline(time.Time{})
}

// bodyProblem tells what ended the reading of a body. Errors that are none of the transport's come back as they are.
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
