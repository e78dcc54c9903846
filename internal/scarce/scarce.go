// Package scarce identifies errors caused by a resource shortage of this machine, rather
// than by a peer or a file.
package scarce

import (
	"errors"
	"syscall"
	"time"
)

// RetryAfter is the delay sent to clients whose request failed because of a shortage.
const RetryAfter = time.Second

// Own reports whether err means that this process or machine has run out of descriptors, buffers,
// memory or local ports. Such an error says nothing about the peer to connect to or the file to open.
func Own(err error) bool {
	for _, lack := range [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, lack) {
			return true
		}
	}
	return false
}

// NoSpace reports whether err means that a disk, or a user's quota on it, is full. It includes quotas of inodes.
func NoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
