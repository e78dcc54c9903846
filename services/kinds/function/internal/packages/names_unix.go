//go:build unix

package packages

import (
	"errors"
	"syscall"
)

// isNotDirectory reports whether a part of a path is a file.
func isNotDirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
