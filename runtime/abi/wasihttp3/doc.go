// Package wasihttp3 implements wasi:http of WASI 0.3: guests that export wasi:http/handler, and requests that they make by
// wasi:http/client.
//
// The guest runs by callbacks, unless its handler is lifted without the option async and returns its response. A handler
// returns to the host when it has to wait, and the host calls it back with an event. Between the calls, streams and futures
// go on (package concurrent). When the guest has ended, what it has connected goes on until the response is complete: a guest
// can return the request's body as that of its response, and end. A response that is complete ends when the guest waits or
// yields, and the guest goes on without its client, unless it may still read the request's body.
//
// What a guest can hold is bounded: handles by canonical.MaxHandles and concurrent.MaxHandles, the bytes of all header
// fields and texts of requests by httptypes.MaxFieldBytes, and requests by abi.Outbound. Of a body the host keeps a buffer at most.
//
// Source of the interfaces: the WebAssembly/wasi-http repository, wit at the tag v0.3.0.
package wasihttp3

// The interfaces, with the track of their version.
const (
	typesModule  = "wasi:http/types@0.3"
	clientModule = "wasi:http/client@0.3"
	handlerName  = "wasi:http/handler@0.3"
)
