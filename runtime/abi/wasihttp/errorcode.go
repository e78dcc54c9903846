package wasihttp

import (
	"errors"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
)

// errorCode is an error-code for the guest.
type errorCode struct {
	kind  byte
	text  string  // of internalError
	bytes *uint64 // of the body sizes
}

// The cases of error-code that the host returns.
const (
	dnsError               = 1
	destinationUnavailable = 3
	connectionTerminated   = 7
	connectionTimeout      = 8
	connectionReadTimeout  = 9
	connectionLimitReached = 11
	requestDenied          = 15
	requestBodySize        = 17
	requestURIInvalid      = 19
	requestTrailerSize     = 23
	responseIncomplete     = 25
	responseBodySize       = 28
	protocolError          = 35
	loopDetected           = 36
	internalError          = 38
)

// errorNames are the cases of error-code, for the log.
var errorNames = [...]string{
	"DNS-timeout", "DNS-error", "destination-not-found", "destination-unavailable", "destination-IP-prohibited",
	"destination-IP-unroutable", "connection-refused", "connection-terminated", "connection-timeout", "connection-read-timeout",
	"connection-write-timeout", "connection-limit-reached", "TLS-protocol-error", "TLS-certificate-error", "TLS-alert-received",
	"HTTP-request-denied", "HTTP-request-length-required", "HTTP-request-body-size", "HTTP-request-method-invalid",
	"HTTP-request-URI-invalid", "HTTP-request-URI-too-long", "HTTP-request-header-section-size", "HTTP-request-header-size",
	"HTTP-request-trailer-section-size", "HTTP-request-trailer-size", "HTTP-response-incomplete",
	"HTTP-response-header-section-size", "HTTP-response-header-size", "HTTP-response-body-size",
	"HTTP-response-trailer-section-size", "HTTP-response-trailer-size", "HTTP-response-transfer-coding",
	"HTTP-response-content-coding", "HTTP-response-timeout", "HTTP-upgrade-failed", "HTTP-protocol-error", "loop-detected",
	"configuration-error", "internal-error",
}

// The layout of error-code, and of the results that contain it: a result<_, error-code> has it at codeAt.
const (
	codeBytes      = 32
	codeAlign      = 8
	codeAt         = 8
	codeResultSize = codeAt + codeBytes
)

// putCode writes an error-code.
func (c *call) putCode(m []byte, e *errorCode) {
	m = m[:codeBytes]
	clear(m)
	m[0] = e.kind
	switch {
	case e.kind == internalError && e.text != "":
		c.state.PutString(m, 12, e.text)
		m[8] = 1
	case e.bytes != nil:
		m[8] = 1
		canonical.PutUint64(m, 16, *e.bytes)
	}
}

// putDone writes a result<_, error-code>.
func (c *call) putDone(m []byte, e *errorCode) {
	if m[0] = 0; e != nil {
		c.putCode(m[codeAt:], e)
		m[0] = 1
	}
}

// outboundCode returns the error-code for an error of a request of the guest. Details of the host are not passed to the guest.
func outboundCode(err error) *errorCode {
	var out *abi.OutboundError
	if !errors.As(err, &out) {
		return &errorCode{kind: connectionTerminated}
	}
	switch out.Code {
	case abi.OutboundInvalid:
		return &errorCode{kind: requestURIInvalid}
	case abi.OutboundForbidden:
		return &errorCode{kind: requestDenied}
	case abi.OutboundTooMany:
		return &errorCode{kind: connectionLimitReached}
	case abi.OutboundUnreachable:
		return &errorCode{kind: destinationUnavailable}
	case abi.OutboundBroken:
		return &errorCode{kind: connectionTerminated}
	case abi.OutboundDeadline:
		return &errorCode{kind: connectionTimeout}
	case abi.OutboundTooLarge:
		return &errorCode{kind: responseBodySize}
	case abi.OutboundTooDeep:
		return &errorCode{kind: loopDetected}
	}
	return &errorCode{kind: internalError, text: "the host cannot make the request"}
}
