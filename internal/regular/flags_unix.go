//go:build unix

package regular

import (
	"errors"
	"syscall"
)

// nonBlocking includes O_NOCTTY, so that a terminal does not become the controlling terminal of the server.
const nonBlocking = syscall.O_NONBLOCK | syscall.O_NOCTTY

func isSpecial(err error) bool {
	return errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.EOPNOTSUPP)
}
