package vespo

// Code says why an outbound request failed. Codes are errors: match with errors.Is(err, vespo.ErrDenied).
type Code int32

const (
	ErrClosed      Code = -1  // the answer is closed, or the call is not in a state for this
	ErrMalformed   Code = -2  // method, URI or a header is not valid
	ErrDenied      Code = -3  // the service is not allowed to call this host
	ErrTooMany     Code = -4  // too many calls in this request, or at once
	ErrUnreachable Code = -5  // no address, no connection, or no TLS
	ErrBroken      Code = -6  // the connection broke, or the answer is not HTTP
	ErrDeadline    Code = -7  // out of time
	ErrTooLarge    Code = -8  // a header or body exceeds the server's limit
	ErrUnsupported Code = -9  // this server makes no outbound requests
	ErrLoop        Code = -10 // services call each other too deep
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

// Error is a failed outbound request.
type Error struct {
	URI  string
	Code Code
}

func (e *Error) Error() string { return "vespo: fetch " + e.URI + ": " + e.Code.Error() }

// Unwrap returns the code.
func (e *Error) Unwrap() error { return e.Code }
