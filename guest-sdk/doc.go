// Package guest serves HTTP requests from WebAssembly.
//
// A guest registers one handler while it starts:
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
// and is built as a reactor:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o hello.wasm .
//
// In such a module the host calls _initialize, which runs package initialisation: variables and init functions. It does not
// run main, which the toolchain wants to see but nothing calls. Hence the registration in init.
//
// # State
//
// Vespo takes a snapshot of the guest once it is initialised, and every request starts from that snapshot. Prepare in init
// what all requests need (parse templates, fill tables): it is paid for once. What a request changes, also in package-level
// variables, is gone when it ends. For pseudo-random numbers this has consequences that RANDOM.md is about.
//
// # Hosts
//
// This package imports the http-wasm HTTP handler interface (https://http-wasm.io/http-handler-abi/) and WASI, so its guests
// run in any host for that. What only Vespo has is in the package guest-sdk/vespo, and using that binds a guest to Vespo.
// Package nethttp serves an [net/http.Handler]; package guesttest calls handlers in ordinary Go tests.
//
// A guest serves one request at a time. Request and Response belong to the handler's goroutine and end with its return.
package guest
