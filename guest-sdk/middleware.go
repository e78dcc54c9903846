package guest

import (
	"io"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// A ResponseHandler processes the response of the next handler to a request that the guest passed on. If failed is true,
// the next handler failed and its response is unusable; the ResponseHandler may write another one.
//
// It is called in the same instance as the [Handler] of the request, so the two can share data in package-level
// variables.
type ResponseHandler = func(w *Response, r *Request, failed bool)

var (
	responses ResponseHandler // set during initialisation
	passed    bool            // the current request is passed on
)

// HandleResponse registers the handler for responses to requests that were passed on. It may be called once, in an init
// function. A second call panics. A guest that does not modify responses does not need it.
//
// The handler can always read the status and the header. To change them, or to read or replace the body, call
// [BufferResponse] in an init function. Without it, the header is already sent when the handler is called.
func HandleResponse(h ResponseHandler) {
	if responses != nil {
		panic("guest: HandleResponse is called twice; a guest has one handler for answers")
	}
	responses = h
}

// BufferResponse asks the host to buffer responses to requests that are passed on, until the handler of [HandleResponse]
// returns. It reports whether the host supports this. Call it in an init function.
//
// The host keeps a buffered response in memory. The size of its body is limited; in Vespo by --max-body. Vespo also
// buffers responses that the guest writes without passing the request on.
func BufferResponse() bool {
	return abi.EnableFeatures(abi.FeatureBufferResponse)&abi.FeatureBufferResponse != 0
}

// Pass passes the request on to the next handler when the guest's handler returns. The next handler is another
// middleware or the service. It sees the changes that the handler made to the request.
//
// A handler that calls Pass should not write a response. Response header fields that it sets are defaults, which fields
// of the next handler's response replace. If there is no next handler, the client gets status 404.
//
// A handler must not read the request's body and then call Pass, because the next handler would get the rest of the body
// only. Vespo responds with status 502 in this case.
func (r *Request) Pass() { passed = true }

// SetMethod sets the method of a request that is passed on.
func (r *Request) SetMethod(method string) { abi.SetMethod(method) }

// SetURI sets the path and query of a request that is passed on. Vespo requires a path under the service's prefix and
// responds to others with status 502.
func (r *Request) SetURI(uri string) { abi.SetURI(uri) }

// Status returns the status code of the response. In the handler of [HandleResponse], it is that of the next handler's
// response until SetStatus is called.
func (w *Response) Status() int { return int(abi.Status()) }

// Read reads the body of the next handler's response. It may be called only in the handler of [HandleResponse], and only
// if [BufferResponse] was called; otherwise the host ends the guest. If the handler writes to w, the new body replaces
// that of the next handler, whether or not that was read.
func (w *Response) Read(p []byte) (int, error) {
	if w.bodyEnded {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	ended, n := abi.Pair(abi.ReadBody(abi.KindResponse, p))
	w.bodyEnded = ended != 0
	if w.bodyEnded && n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// serveResponse calls the registered ResponseHandler, if there is one.
func serveResponse(failed bool) {
	if responses == nil {
		return
	}
	guarded(func(w *Response, r *Request) { responses(w, r, failed) })
}
