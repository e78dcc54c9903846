package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"syscall"
	"time"

	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/services/egress"
	"github.com/vespo-dev/vespo/services/egress/oci"
)

// The reasons of an Error.
var (
	ErrInvalidSource = errors.New("fetch: invalid source")           // the address is unusable
	ErrRefused       = errors.New("fetch: refused address")          // the egress policy forbids the address
	ErrTooLarge      = errors.New("fetch: module too large")         // larger than Config.MaxBytes
	ErrUnavailable   = errors.New("fetch: source does not give one") // any other failure of the source
	ErrTimeout       = errors.New("fetch: source too slow")          // not finished within Config.Timeout
)

// Error is a failed fetch.
type Error struct {
	Reason error  // one of the errors above
	Detail string // for the person who named the source
	Cause  error  // for the log; may be nil and may contain internal addresses
}

// Error returns the detail.
func (e *Error) Error() string { return e.Detail }

// Is reports whether target is the error's reason.
func (e *Error) Is(target error) bool { return target == e.Reason }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// failed returns an Error about source u. The format completes "source URL ...".
func failed(reason error, u *url.URL, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: "source " + redact(u) + " " + fmt.Sprintf(format, args...)}
}

func (e *Error) withCause(cause error) *Error {
	e.Cause = cause
	return e
}

// explain converts an error of the HTTP client into an Error about source u.
func explain(err error, u *url.URL, timeout time.Duration) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var refused *egress.RefusedError
	switch {
	case errors.As(err, &refused):
		own = failed(ErrRefused, u, "leads to %s, a %s address: only public addresses are fetched from", refused.Addr, refused.Class)
	case errors.Is(err, context.DeadlineExceeded):
		own = failed(ErrTimeout, u, "did not deliver the module within %s", timeout)
	default:
		own = failed(ErrUnavailable, u, "%s", failure(err))
	}
	return own.withCause(err)
}

// explainPull converts an error of a registry.
func explainPull(err error) *Error {
	own := &Error{Reason: ErrUnavailable, Detail: "source could not be pulled", Cause: err}
	var pull *oci.Error
	if errors.As(err, &pull) {
		own.Detail = "source " + pull.Detail
	}
	for reason, known := range map[error]error{
		oci.ErrInvalid:  ErrInvalidSource,
		oci.ErrRefused:  ErrRefused,
		oci.ErrTooLarge: ErrTooLarge,
	} {
		if errors.Is(err, reason) {
			own.Reason = known
		}
	}
	return own
}

// failure describes a transport error. It names only known errors, because the text of others may contain
// details of the host.
func failure(err error) string {
	var (
		dns      *net.DNSError
		cert     *tls.CertificateVerificationError
		record   tls.RecordHeaderError
		protocol textproto.ProtocolError
	)
	switch {
	case scarce.Own(err):
		return "could not be fetched, as this server has too many files or connections open: try again"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "names a host that does not exist"
	case errors.As(err, &dns):
		return "names a host that could not be resolved"
	case errors.As(err, &cert):
		return "has a certificate that is not trusted"
	case errors.As(err, &record):
		return "does not speak TLS"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused the connection"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return "closed the connection before the answer was complete"
	case errors.As(err, &protocol):
		return "answered something that is not HTTP"
	default:
		return "could not be fetched"
	}
}
