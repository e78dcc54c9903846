//go:build unix

package main

import "syscall"

// descriptorLimit returns how many files the process may have open, and reports whether there is such a limit.
func descriptorLimit() (uint64, bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return uint64(limit.Cur), true // FreeBSD has it signed
}
