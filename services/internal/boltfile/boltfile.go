// Package boltfile makes bbolt safe on damaged files. [Check] finds a damaged structure before bbolt opens the file, and
// [Guarded] ends a transaction that meets one later.
package boltfile

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrDamaged is matched by the errors about a damaged structure.
var ErrDamaged = errors.New("the file is damaged")

// Guarded calls f and converts panics into errors that match ErrDamaged. On damaged pages bbolt panics or reads beyond
// its mapping. f must run on the calling goroutine.
func Guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, v)
		}
	}()
	return f()
}
