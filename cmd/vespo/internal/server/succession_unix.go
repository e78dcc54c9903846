//go:build unix

package server

import (
	"os"
	"os/signal"
	"syscall"
)

// successionSignal returns a channel with the signals that ask for a successor, and a function that ends it.
func successionSignal() (<-chan os.Signal, func()) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR2)
	return asked, func() { signal.Stop(asked) }
}
