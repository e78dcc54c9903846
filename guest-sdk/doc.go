// Package guest serves HTTP requests from WebAssembly.
//
// A guest is a program compiled to WebAssembly. It registers one handler in an init function:
//
//	package main
//
//	import "github.com/vespo-dev/vespo/guest-sdk"
//
//	func init() {
//		guest.Handle(func(w *guest.Response, r *guest.Request) {
//			w.Header.Set("content-type", "text/plain")
//			w.WriteString("hello from " + r.Path() + "\n")
//		})
//	}
//
//	func main() {}
//
// Build it as a reactor:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o hello.wasm .
//
// The host initialises a reactor by calling its export _initialize, which runs package initialisation: variables and
// init functions. It never calls main, but the toolchain requires one. Register the handler in init for this reason.
//
// # State
//
// Vespo takes a snapshot of the guest after initialisation. Every request starts from that snapshot. Prepare data that
// all requests share in init, such as parsed templates and tables: the cost is paid once. Changes that a request
// makes, including those to package-level variables, are discarded when the request ends.
//
// The snapshot also contains the state of pseudo-random generators. RANDOM.md lists the sources of random numbers that
// are safe to use.
//
// # Concurrency
//
// A guest serves one request at a time. A [Request] and its [Response] may be used only by the handler's goroutine, and
// only until the handler returns.
//
// # Hosts
//
// This package imports the http-wasm HTTP handler ABI (https://http-wasm.io/http-handler-abi/) and WASI. A guest that
// uses no other package of the SDK than this one and nethttp runs in every host that implements both.
//
// The related packages are:
//
//   - nethttp serves an [net/http.Handler].
//   - vespo provides the mount prefix, settings and outbound requests. It requires Vespo as the host.
//   - vespo/vespohttp is the adapter between vespo and net/http.
//   - guesttest calls handlers in ordinary Go tests.
package guest
