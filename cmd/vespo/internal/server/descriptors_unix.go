//go:build unix

package server

import "syscall"

// descriptorLimit returns the limit on the process's open files, and reports whether it is known.
func descriptorLimit() (uint64, bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return uint64(limit.Cur), true // an int64 on FreeBSD
}
