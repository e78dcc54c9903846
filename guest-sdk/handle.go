package guest

import (
	"strconv"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// A Handler responds to one request. It writes the header and body of the response to w; r is the request.
//
// The response is complete when the handler returns. Neither w nor r may be used after that.
//
// If the handler panics, the message and stack go to the service's log and the host discards the guest's instance. The
// client gets status 500, or a closed connection if part of the body was sent. Use [ErrAbort] to panic without a log
// message.
type Handler = func(w *Response, r *Request)

// ErrAbort is a sentinel panic value that aborts a handler without a log message. The client gets status 500, or a
// closed connection if part of the body was sent.
var ErrAbort error = abortError{}

type abortError struct{}

func (abortError) Error() string { return "guest: request aborted" }

const noHandler = "guest: no handler is registered: call guest.Handle in an init function " +
	"(main does not run in modules built with -buildmode=c-shared)"

// registered is the handler passed to Handle. It is set during initialisation.
var registered Handler

// Handle registers the guest's handler. It must be called once, in an init function. A second call panics.
//
// A guest without a handler responds to every request with status 500 and logs the reason.
func Handle(h Handler) {
	if registered != nil {
		panic("guest: Handle is called twice; a guest has one handler")
	}
	registered = h
}

// serve calls h for the current request. If h panics or ends its goroutine, the guest exits: its state is unknown, so
// the host responds with 500 and discards the instance.
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

// guarded calls h for the current request and flushes the response. It exits the guest if h does not return.
func guarded(h Handler) {
	returned := false
	defer func() {
		if !returned {
			fail(recover())
		}
	}()
	w, r := &current.response, &current.request
	r.start()
	w.start()
	h(w, r)
	w.Flush()
	returned = true
}

// fail logs the panic value v with the stack and exits the guest. The client sees neither.
func fail(v any) {
	if v != ErrAbort {
		Log(LevelError, "panic: "+panicText(v)+"\n\n"+stack())
	}
	abi.Exit(exitPanic)
}

// exitPanic is the exit code of a Go program that panics.
const exitPanic = 2

// panicText formats a panic value. It does not use package fmt, which would double the size of a small guest.
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
