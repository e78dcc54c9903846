package oci

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/vespo-dev/vespo/services/egress"
)

// The reasons of an Error.
var (
	ErrInvalid     = errors.New("oci: invalid reference")
	ErrRefused     = errors.New("oci: refused address")      // the client's dialler forbids it
	ErrTooLarge    = errors.New("oci: module too large")     // larger than Client.MaxBytes
	ErrDenied      = errors.New("oci: access denied")        // the registry asks for other credentials
	ErrUnavailable = errors.New("oci: registry unavailable") // any other failure
)

// Error is a failed pull or push.
type Error struct {
	Reason error  // one of the errors above
	Detail string // for the person who named the reference
	Cause  error  // for the log; may be nil
}

// Error returns the detail.
func (e *Error) Error() string { return e.Detail }

// Is reports whether target is the error's reason.
func (e *Error) Is(target error) bool { return target == e.Reason }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// failed returns an Error about a reference. The format completes "oci://...".
func failed(reason error, ref Reference, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: ref.String() + " " + fmt.Sprintf(format, args...)}
}

// explain converts an error of the registry client.
func explain(err error, ref Reference) error {
	var own *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own): // the client adds to its text
		return own
	}
	reason, detail := ErrUnavailable, describe(err)
	var refused *egress.RefusedError
	var answer *errcode.ErrorResponse
	switch {
	case errors.As(err, &refused):
		reason, detail = ErrRefused, fmt.Sprintf("leads to %s, a %s address: only public addresses are pulled from", refused.Addr, refused.Class)
	case errors.Is(err, auth.ErrBasicCredentialNotFound), errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		reason, detail = ErrDenied, "is not open to this client: log in to the registry with \"docker login\", or use other credentials"
	}
	own = failed(reason, ref, "%s", detail)
	own.Cause = err
	return own
}

// describe describes known errors. The text of others may have details of the host or of a token service.
func describe(err error) string {
	var cert *tls.CertificateVerificationError
	var answer *errcode.ErrorResponse
	var dns *net.DNSError
	var slow net.Error
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return "does not exist in the registry"
	case errors.Is(err, errdef.ErrSizeExceedsLimit):
		return "has a manifest that is too large"
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrInvalidDescriptorSize), errors.Is(err, content.ErrTrailingData):
		return "has content that does not match its digest or size: the registry, or something on the way, has altered it"
	case errors.Is(err, context.DeadlineExceeded):
		return "was not transferred in time"
	case errors.As(err, &cert):
		return "is in a registry whose certificate is not trusted"
	case errors.As(err, &dns):
		return "is in a registry whose name could not be resolved"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "is in a registry that refused the connection"
	case errors.As(err, &slow) && slow.Timeout():
		return "is in a registry that did not answer in time"
	case errors.As(err, &answer):
		return fmt.Sprintf("could not be transferred: the registry answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return "could not be transferred"
}
