//go:build !wasip1

package guest

import "github.com/vespo-dev/vespo/guest-sdk/internal/abi"

// Outside WebAssembly, package guesttest makes the requests.
func init() {
	abi.Entry = func(handler any) {
		h, ok := handler.(Handler)
		if !ok {
			h = registered
		}
		serve(h)
		if passed {
			serveResponse(abi.Current().Next())
		}
	}
}
