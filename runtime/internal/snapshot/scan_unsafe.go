//go:build linux

package snapshot

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func (p kernelPagemap) scan(arg *scanArg, regions []pageRegion) (n int, err error) {
	arg.size = scanArgBytes
	arg.vec = uint64(uintptr(unsafe.Pointer(unsafe.SliceData(regions))))
	arg.vecLen = uint64(len(regions))
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.fd), pagemapScan, uintptr(unsafe.Pointer(arg)))
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}
