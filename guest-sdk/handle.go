package guest

import (
	"strconv"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// Handler serves one request.
type Handler = func(w *Response, r *Request)

// ErrAbort is a value for panic that ends a request without a message in the log. If nothing is sent yet the client gets a
// 500, else its connection is cut off.
var ErrAbort error = abortError{}

type abortError struct{}

func (abortError) Error() string { return "guest: request aborted" }

const noHandler = "guest: no handler is registered: call guest.Handle in an init function " +
	"(main does not run in modules built with -buildmode=c-shared)"

// registered is the handler of Handle; set while the program starts.
var registered Handler

// Handle registers the guest's handler. Call it once, in an init function; it panics when it is called again.
func Handle(h Handler) {
	if registered != nil {
		panic("guest: Handle is called twice; a guest has one handler")
	}
	registered = h
}

// serve answers the request at hand. A handler that panics, or ends its goroutine, ends the guest: the host answers 500 and
// discards the instance, which is in an unknown state.
func serve(h Handler) {
	passed = false
	guarded(func(w *Response, r *Request) {
		if h == nil {
			Log(LevelError, noHandler)
			panic(ErrAbort)
		}
		random.startRequest()
		h(w, r)
	})
}

// guarded calls h with the request at hand, and sends what it has written.
func guarded(h Handler) {
	returned := false
	defer func() {
		if !returned {
			fail(recover())
		}
	}()
	r := &Request{Header: Header{abi.KindRequest}, Trailer: Header{abi.KindRequestTrailers}}
	w := &response
	w.start()
	h(w, r)
	w.Flush()
	returned = true
}

// fail reports a panic to the service's log, and ends the guest. Nothing of it goes to the client.
func fail(v any) {
	if v != ErrAbort {
		Log(LevelError, "panic: "+panicText(v)+"\n\n"+stack())
	}
	abi.Exit(exitPanic)
}

// exitPanic is the exit code of Go programs that end by a panic.
const exitPanic = 2

// panicText is the panic's value in words; without package fmt, which would double the size of a small guest.
func panicText(v any) string {
	switch v := v.(type) {
	case nil:
		return "the handler has ended its goroutine (runtime.Goexit)"
	case error:
		return v.Error()
	case interface{ String() string }:
		return v.String()
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return "(a value that is neither an error nor a string)"
}
