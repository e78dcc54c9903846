package codemap

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Map maps the machine code, to be read and executed. The mapping is shared and its descriptor has no write access, so it
// cannot be made writable. The caller must unmap it, or give it to Attach. The error is EPERM on a file system without
// execution.
func (f *File) Map() ([]byte, error) {
	return unix.Mmap(int(f.file.Fd()), 0, int(f.codeBytes), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_SHARED)
}

// Unmap unmaps code that was not attached.
func Unmap(code []byte) error { return unix.Munmap(code) }

// Supported reports whether code can be mapped on this platform.
func Supported() bool { return true }

// newMemory returns a file in memory, and a name by which this process can open it again.
func newMemory() (*os.File, string, error) {
	fd, err := unix.MemfdCreate("code", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, "", err
	}
	name := fmt.Sprintf("/proc/self/fd/%d", fd)
	return os.NewFile(uintptr(fd), name), name, nil
}
