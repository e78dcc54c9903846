//go:build unix

package regular

import (
	"errors"
	"syscall"
)

// nonBlocking also keeps a terminal from becoming the server's.
const nonBlocking = syscall.O_NONBLOCK | syscall.O_NOCTTY

func isSpecial(err error) bool {
	return errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.EOPNOTSUPP)
}
