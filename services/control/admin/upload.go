package admin

import (
	"errors"
	"io"
	"os"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
)

// bodyProblem returns the problem for an error from reading a body.
func bodyProblem(err error, b *client.Body) error {
	var told *problem.Problem
	switch {
	case errors.As(err, &told) && told.Kind() == problem.BodyTooLarge:
		return told
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem.Newf(problem.RequestTimeout,
			"the upload stalled after %d bytes and was given up; nothing was changed", b.Received()).WithCause(err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return problem.Newf(problem.BadRequest,
			"the request body ended early, after %d bytes; nothing was changed", b.Received()).WithCause(err)
	}
	return problem.Newf(problem.BadRequest, "the request body could not be read beyond %d bytes; nothing was changed", b.Received()).WithCause(err)
}
