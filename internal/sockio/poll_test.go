//go:build linux

package sockio

import "golang.org/x/sys/unix"

// writable reports whether a write to a descriptor would take something at once.
func writable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1
}
