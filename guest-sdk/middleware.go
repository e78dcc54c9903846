package guest

import (
	"io"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// ResponseHandler sees the answer of what is behind a guest, after the guest has passed the request on. failed tells that there is
// none to rely on: what is behind has failed, and the handler may answer in its place.
//
// It is called in the same instance as the handler was for the request, so a package-level variable can carry what it has to know.
type ResponseHandler = func(w *Response, r *Request, failed bool)

var (
	responses ResponseHandler // set while the program starts
	passed    bool            // the request at hand is passed on
)

// HandleResponse registers what is called for the answers to requests that were passed on. Call it once, in an init function, if at all.
//
// The handler can read the status and the header. To change them, or to read or replace the body, the guest has to call BufferResponse
// while it starts: without that, the answer is on its way to the client when the handler is called.
func HandleResponse(h ResponseHandler) {
	if responses != nil {
		panic("guest: HandleResponse is called twice; a guest has one handler for answers")
	}
	responses = h
}

// BufferResponse asks the host to hold back the answers to requests that are passed on until HandleResponse's handler has seen them, and
// tells if it does. Call it in an init function. The host holds no answer larger than its limit for bodies.
func BufferResponse() bool {
	return abi.EnableFeatures(abi.FeatureBufferResponse)&abi.FeatureBufferResponse != 0
}

// Pass passes the request on to what is behind the guest, when the handler returns: the next middleware, or the service. It goes as the
// handler has changed it. The handler should write no answer then. Where nothing is behind the guest, the client gets a 404.
func (r *Request) Pass() { passed = true }

// SetMethod changes the method of a request that is passed on.
func (r *Request) SetMethod(method string) { abi.SetMethod(method) }

// SetURI changes path and query of a request that is passed on. Vespo wants a path under the prefix of the service.
func (r *Request) SetURI(uri string) { abi.SetURI(uri) }

// Status returns the status of the response: in HandleResponse's handler that of what is behind the guest.
func (w *Response) Status() int { return int(abi.Status()) }

// Read reads the body of the answer of what is behind the guest: in HandleResponse's handler, in a guest that buffers responses. What
// the handler writes takes the place of that body, whether it was read or not.
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

// serveResponse lets the guest see the answer of what is behind it.
func serveResponse(failed bool) {
	if responses == nil {
		return
	}
	guarded(func(w *Response, r *Request) { responses(w, r, failed) })
}
