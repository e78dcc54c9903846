// Package httptypes has the parts of wasi:http/types that are the same in WASI 0.2 and 0.3.
package httptypes

import (
	"errors"

	"github.com/vespo-dev/vespo/runtime/abi"
)

// Code is a case of error-code.
type Code uint8

// The cases that the host returns.
const (
	DNSError               Code = 1
	DestinationUnavailable Code = 3
	ConnectionRefused      Code = 6
	ConnectionTerminated   Code = 7
	ConnectionTimeout      Code = 8
	ConnectionReadTimeout  Code = 9
	ConnectionLimitReached Code = 11
	TLSProtocolError       Code = 12
	TLSCertificateError    Code = 13
	RequestDenied          Code = 15
	RequestBodySize        Code = 17
	RequestURIInvalid      Code = 19
	RequestTrailerSize     Code = 23
	ResponseIncomplete     Code = 25
	ResponseBodySize       Code = 28
	ResponseTimeout        Code = 33
	ProtocolError          Code = 35
	LoopDetected           Code = 36
	InternalError          Code = 38
)

// Count is the number of cases.
const Count = uint32(len(names))

var names = [...]string{
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

// String returns the name of a case below Count.
func (c Code) String() string { return names[c] }

// unreachable are the cases for the causes of a server that cannot be reached.
var unreachable = [...]Code{
	abi.CauseOther:       DestinationUnavailable,
	abi.CauseName:        DNSError,
	abi.CauseRefused:     ConnectionRefused,
	abi.CauseCertificate: TLSCertificateError,
	abi.CauseTLS:         TLSProtocolError,
}

// Outbound returns the case for an error of an outbound call. deadline is the case for a deadline that has passed: the
// two versions of WASI differ there.
func Outbound(err error, deadline Code) Code {
	var out *abi.OutboundError
	if !errors.As(err, &out) {
		return ConnectionTerminated
	}
	switch out.Code {
	case abi.OutboundInvalid:
		return RequestURIInvalid
	case abi.OutboundForbidden:
		return RequestDenied
	case abi.OutboundTooMany:
		return ConnectionLimitReached
	case abi.OutboundUnreachable:
		return unreachable[out.Cause]
	case abi.OutboundBroken:
		return ConnectionTerminated
	case abi.OutboundDeadline:
		return deadline
	case abi.OutboundTooLarge:
		return ResponseBodySize
	case abi.OutboundTooDeep:
		return LoopDetected
	}
	return InternalError
}
