//go:build !unix

package remote

import "os"

// notifyResize returns a channel that never receives: the next look sees the size of the terminal.
func notifyResize() (resized <-chan os.Signal, stop func()) { return nil, func() {} }
