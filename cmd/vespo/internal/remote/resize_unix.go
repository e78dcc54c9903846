//go:build unix

package remote

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyResize returns a channel that receives when the size of the terminal changes, until stop is called.
func notifyResize() (resized <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGWINCH)
	return c, func() { signal.Stop(c) }
}
