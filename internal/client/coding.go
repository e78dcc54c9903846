package client

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/vespo-dev/vespo/internal/problem"
)

// MalformedBody returns the error for the client if reading the body of r has failed with err because its chunked coding is invalid, else
// nil. net/http has no type for such errors: they are those of neither the connection nor the end of the body.
func MalformedBody(r *http.Request, err error) error {
	if !chunked(r) || !invalidCoding(err) {
		return nil
	}
	return badCoding(err)
}

// chunked reports whether the body of r has the chunked coding of HTTP/1.1.
func chunked(r *http.Request) bool { return r.ProtoMajor == 1 && len(r.TransferEncoding) > 0 }

// invalidCoding reports whether an error of reading a chunked body is not one of the connection.
func invalidCoding(err error) bool {
	var network net.Error
	var system *os.SyscallError
	switch {
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, net.ErrClosed),
		errors.Is(err, http.ErrBodyReadAfterClose), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &network), errors.As(err, &system):
		return false
	}
	return true
}

func badCoding(err error) error {
	return problem.New(problem.BadRequest, "the request's body is malformed: its chunked coding is invalid").WithCause(err)
}
