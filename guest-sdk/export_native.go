//go:build !wasip1

package guest

import "github.com/vespo-dev/vespo/guest-sdk/internal/abi"

// Outside of WebAssembly requests come from package guesttest.
func init() {
	abi.Entry = func(handler any) {
		if h, ok := handler.(Handler); ok {
			serve(h)
			return
		}
		serve(registered)
	}
}
