//go:build wasip1

package guesttest

import guest "github.com/vespo-dev/vespo/guest-sdk"

// serve exists so that tests compile for WebAssembly too, as some tools try.
func serve(guest.Handler, *Request) *Answer {
	panic("guesttest: run the tests outside of WebAssembly: without GOOS=wasip1")
}
