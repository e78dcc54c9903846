//go:build wasip1

package guesttest

import guest "github.com/vespo-dev/vespo/guest-sdk"

// serve panics. It exists because some tools compile tests for WebAssembly too.
func serve(guest.Handler, *Request) *Answer {
	panic("guesttest: run the tests outside of WebAssembly: without GOOS=wasip1")
}
