// Package scarce tells what this machine lacks from what a peer or a file is to blame for.
package scarce

import (
	"errors"
	"syscall"
	"time"
)

// RetryAfter is what a client is told that was refused for a lack of this machine's.
const RetryAfter = time.Second

// Own reports whether err says that this process or machine has run out of descriptors, buffers, memory or local ports. The peer that was to be
// connected to, or the file that was to be opened, is then no worse than before.
func Own(err error) bool {
	for _, lack := range [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, lack) {
			return true
		}
	}
	return false
}
