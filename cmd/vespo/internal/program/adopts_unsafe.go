//go:build linux

package program

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adopts reports whether this process becomes the parent of orphans: it is
// process 1, as in a container, or a child subreaper (PR_SET_CHILD_SUBREAPER).
func adopts() bool {
	var reaper int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&reaper)), 0, 0, 0)
	return os.Getpid() == 1 || err == nil && reaper != 0
}
