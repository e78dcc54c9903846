package wasihttp3

import (
	"errors"
	"fmt"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
)

// errorCode is the case of the interface's error-code.
type errorCode uint8

// The cases in use by the host.
const (
	destinationUnavailable errorCode = 3
	connectionTerminated   errorCode = 7
	connectionReadTimeout  errorCode = 9
	connectionLimitReached errorCode = 11
	requestDenied          errorCode = 15
	requestBodySize        errorCode = 17
	requestURIInvalid      errorCode = 19
	requestTrailerSize     errorCode = 23
	responseIncomplete     errorCode = 25
	responseBodySize       errorCode = 28
	responseTimeout        errorCode = 33
	loopDetected           errorCode = 36
	internalError          errorCode = 38
)

// errorCodeNames are the cases, in order.
var errorCodeNames = [...]string{"DNS-timeout", "DNS-error", "destination-not-found", "destination-unavailable", "destination-IP-prohibited",
	"destination-IP-unroutable", "connection-refused", "connection-terminated", "connection-timeout", "connection-read-timeout",
	"connection-write-timeout", "connection-limit-reached", "TLS-protocol-error", "TLS-certificate-error", "TLS-alert-received",
	"HTTP-request-denied", "HTTP-request-length-required", "HTTP-request-body-size", "HTTP-request-method-invalid",
	"HTTP-request-URI-invalid", "HTTP-request-URI-too-long", "HTTP-request-header-section-size", "HTTP-request-header-size",
	"HTTP-request-trailer-section-size", "HTTP-request-trailer-size", "HTTP-response-incomplete", "HTTP-response-header-section-size",
	"HTTP-response-header-size", "HTTP-response-body-size", "HTTP-response-trailer-section-size", "HTTP-response-trailer-size",
	"HTTP-response-transfer-coding", "HTTP-response-content-coding", "HTTP-response-timeout", "HTTP-upgrade-failed",
	"HTTP-protocol-error", "loop-detected", "configuration-error", "internal-error"}

// maxReasonBytes is the most of a guest's text in an error.
const maxReasonBytes = 1 << 10

// failure is an error-code. Its payload is dropped, except for the text of an internal error.
type failure struct {
	code errorCode
	text string
}

func (f *failure) Error() string {
	if f.text == "" {
		return errorCodeNames[f.code]
	}
	return fmt.Sprintf("%s: %q", errorCodeNames[f.code], f.text)
}

// put stores a result with this error, or without one and without a payload if f is nil. m is zeroed before.
func (f *failure) put(m []byte) {
	clear(m[:resultBytes])
	if f != nil {
		m[0], m[resultPayload] = 1, byte(f.code) // options in the payload are none
	}
}

// lifted returns an error-code that the guest passes: its case and, for internal-error, an optional text.
func lifted(s *canonical.State, code, some, at, length uint64) *failure {
	f := &failure{code: errorCode(canonical.Case(code, uint32(len(errorCodeNames))))}
	if f.code == internalError && canonical.Case(some, 2) == 1 {
		f.text, _ = s.Text(at, length, maxReasonBytes)
	}
	return f
}

// loaded returns the error of a result in memory, or nil.
func loaded(s *canonical.State, m []byte) *failure {
	if canonical.Case(uint64(m[0]), 2) == 0 {
		return nil
	}
	return lifted(s, uint64(m[8]), uint64(m[16]), uint64(canonical.Uint32(m, 20)), uint64(canonical.Uint32(m, 24)))
}

// outboundFailure returns the error-code for an error of an outbound call.
func outboundFailure(err error) *failure {
	var (
		own *failure
		out *abi.OutboundError
	)
	switch {
	case errors.As(err, &own):
		return own
	case !errors.As(err, &out):
		return &failure{code: connectionTerminated}
	}
	switch out.Code {
	case abi.OutboundInvalid:
		return &failure{code: requestURIInvalid}
	case abi.OutboundForbidden:
		return &failure{code: requestDenied}
	case abi.OutboundTooMany:
		return &failure{code: connectionLimitReached}
	case abi.OutboundUnreachable:
		return &failure{code: destinationUnavailable}
	case abi.OutboundBroken:
		return &failure{code: connectionTerminated}
	case abi.OutboundDeadline:
		return &failure{code: responseTimeout}
	case abi.OutboundTooLarge:
		return &failure{code: responseBodySize}
	case abi.OutboundTooDeep:
		return &failure{code: loopDetected}
	}
	return &failure{code: internalError}
}
