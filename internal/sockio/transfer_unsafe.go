//go:build linux

package sockio

import (
	"os"
	"syscall"
	"unsafe"
)

// newRead returns a transfer that is over with the first bytes, or the end.
func newRead() *transfer {
	t := &transfer{}
	t.move = func(fd uintptr) bool {
		n, errno := call(syscall.SYS_READ, fd, t.rest)
		if errno == syscall.EAGAIN {
			return false
		}
		t.note(n, "read", errno)
		return true
	}
	return t
}

// newWrite returns a transfer that is over when all is written.
func newWrite() *transfer {
	t := &transfer{}
	t.move = func(fd uintptr) bool {
		for len(t.rest) > 0 {
			n, errno := call(syscall.SYS_WRITE, fd, t.rest)
			if errno == syscall.EAGAIN {
				return false
			}
			if t.note(n, "write", errno); errno != 0 {
				return true
			}
		}
		return true
	}
	return t
}

// note adds the result of a system call.
func (t *transfer) note(n int, name string, errno syscall.Errno) {
	if errno != 0 {
		t.err = os.NewSyscallError(name, errno)
		return
	}
	t.moved += n
	t.rest = t.rest[n:]
}

// call makes a system call with a descriptor that does not block, and a buffer that is not empty.
func call(number, fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}
