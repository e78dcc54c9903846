package problem

import "net/http"

// Kind is a class of failures. Its text is the last segment of the problem's type URI and is stable.
type Kind string

// The kinds of problems. Their statuses and titles are in table.
const (
	BadRequest           Kind = "bad-request"
	Unauthorized         Kind = "unauthorized"
	Forbidden            Kind = "forbidden"
	NotFound             Kind = "not-found"
	MethodNotAllowed     Kind = "method-not-allowed"
	RequestTimeout       Kind = "request-timeout"
	Conflict             Kind = "conflict"
	BodyTooLarge         Kind = "body-too-large"
	URITooLong           Kind = "uri-too-long"
	UnsupportedMediaType Kind = "unsupported-media-type"
	TooManyRequests      Kind = "too-many-requests"
	HeaderTooLarge       Kind = "header-too-large"
	ModuleInvalid        Kind = "module-invalid"
	OutOfMemory          Kind = "out-of-memory"
	Trap                 Kind = "trap"
	StackOverflow        Kind = "stack-overflow"
	WorkLimit            Kind = "work-limit"
	GuestExit            Kind = "guest-exit"
	Internal             Kind = "internal"
	NotImplemented       Kind = "not-implemented"
	BadGateway           Kind = "bad-gateway"
	SourceUnavailable    Kind = "source-unavailable"
	NoCapacity           Kind = "no-capacity"
	NotReady             Kind = "not-ready"
	NoHost               Kind = "no-host"
	Deadline             Kind = "deadline"
	NotCached            Kind = "not-cached"
	InsufficientStorage  Kind = "insufficient-storage"
)

// typeBase is the prefix of type URIs. Clients compare the whole URI; it need not resolve.
const typeBase = "https://vespo.dev/problems/"

type row struct {
	kind   Kind
	status int
	title  string
}

// table maps kinds to statuses and titles. It is never modified.
var table = [...]row{
	{BadRequest, http.StatusBadRequest, "Bad request"},
	{Unauthorized, http.StatusUnauthorized, "Unauthorized"},
	{Forbidden, http.StatusForbidden, "Forbidden"},
	{NotFound, http.StatusNotFound, "Not found"},
	{MethodNotAllowed, http.StatusMethodNotAllowed, "Method not allowed"},
	{RequestTimeout, http.StatusRequestTimeout, "Request timeout"},
	{Conflict, http.StatusConflict, "Conflict"},
	{BodyTooLarge, http.StatusRequestEntityTooLarge, "Request body too large"},
	{URITooLong, http.StatusRequestURITooLong, "URI too long"},
	{UnsupportedMediaType, http.StatusUnsupportedMediaType, "Unsupported media type"},
	{ModuleInvalid, http.StatusUnprocessableEntity, "Module invalid"},
	{TooManyRequests, http.StatusTooManyRequests, "Too many requests"},
	{HeaderTooLarge, http.StatusRequestHeaderFieldsTooLarge, "Request header too large"},
	{OutOfMemory, http.StatusInternalServerError, "Out of memory"},
	{Trap, http.StatusInternalServerError, "Guest trapped"},
	{StackOverflow, http.StatusInternalServerError, "Guest call stack exhausted"},
	{WorkLimit, http.StatusInternalServerError, "Work limit exceeded"},
	{GuestExit, http.StatusInternalServerError, "Guest exited without an answer"},
	{Internal, http.StatusInternalServerError, "Internal server error"},
	{NotImplemented, http.StatusNotImplemented, "Not implemented"},
	{BadGateway, http.StatusBadGateway, "Bad gateway"},
	{SourceUnavailable, http.StatusBadGateway, "Source unavailable"},
	{NoCapacity, http.StatusServiceUnavailable, "No capacity"},
	{NotReady, http.StatusServiceUnavailable, "Not ready"},
	{NoHost, http.StatusServiceUnavailable, "No host"},
	{Deadline, http.StatusGatewayTimeout, "Deadline exceeded"},
	{NotCached, http.StatusGatewayTimeout, "Not cached"},
	{InsufficientStorage, http.StatusInsufficientStorage, "Insufficient storage"},
}

// Kinds returns all kinds in the order of their statuses.
func Kinds() []Kind {
	kinds := make([]Kind, 0, len(table))
	for _, r := range table {
		kinds = append(kinds, r.kind)
	}
	return kinds
}

// Status returns the HTTP status of the kind. Unknown kinds have the status of Internal.
func (k Kind) Status() int { return k.row().status }

// Title returns the short text of the kind, which is the same for all its problems.
func (k Kind) Title() string { return k.row().title }

// Type returns the type URI of the kind.
func (k Kind) Type() string { return typeBase + string(k.row().kind) }

func (k Kind) row() row {
	internal := row{}
	for _, r := range table {
		if r.kind == k {
			return r
		}
		if r.kind == Internal {
			internal = r
		}
	}
	return internal
}
