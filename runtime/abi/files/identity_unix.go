//go:build unix

package files

import (
	"io/fs"
	"syscall"
)

// Identity returns the host's device and inode number of a file. info may be nil.
func Identity(info fs.FileInfo) (device, number uint64, ok bool) {
	if info == nil {
		return 0, 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return uint64(stat.Dev), uint64(stat.Ino), true //nolint:unconvert // their types differ between systems
}
