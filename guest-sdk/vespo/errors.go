package vespo

// A Code is the reason for the failure of an outbound request. Codes are errors. To test for one, use [errors.Is]:
//
//	if errors.Is(err, vespo.ErrDenied) { ... }
type Code int32

// The codes that the host returns.
const (
	ErrClosed      Code = -1  // the answer is closed, or the call is in the wrong state for the operation
	ErrMalformed   Code = -2  // invalid method, URI or header
	ErrDenied      Code = -3  // the service is not permitted to call this host
	ErrTooMany     Code = -4  // too many calls during this request, or too many at once
	ErrUnreachable Code = -5  // name resolution, connection or TLS handshake failed
	ErrBroken      Code = -6  // the connection broke, or the response is not valid HTTP
	ErrDeadline    Code = -7  // the request's deadline has passed
	ErrTooLarge    Code = -8  // a header or body exceeds the server's limit
	ErrUnsupported Code = -9  // the server does not make outbound requests, or the call is in an init function
	ErrLoop        Code = -10 // calls between services are nested too deeply
)

func (c Code) Error() string {
	switch c {
	case ErrClosed:
		return "the call is closed or not ready for this"
	case ErrMalformed:
		return "method, URI or header is not valid"
	case ErrDenied:
		return "this service is not allowed to call this host"
	case ErrTooMany:
		return "too many outbound requests"
	case ErrUnreachable:
		return "the host cannot be reached"
	case ErrBroken:
		return "the connection broke or the answer is not HTTP"
	case ErrDeadline:
		return "out of time"
	case ErrTooLarge:
		return "header or body is too large"
	case ErrUnsupported:
		return "this server makes no outbound requests"
	case ErrLoop:
		return "services call each other too deep"
	}
	return "unknown failure"
}

// An Error reports the failure of an outbound request.
type Error struct {
	URI  string
	Code Code
}

func (e *Error) Error() string { return "vespo: fetch " + e.URI + ": " + e.Code.Error() }

// Unwrap returns e.Code, so that [errors.Is] matches codes.
func (e *Error) Unwrap() error { return e.Code }
