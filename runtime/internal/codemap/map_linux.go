package codemap

import "golang.org/x/sys/unix"

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
