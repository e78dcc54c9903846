//go:build unix

package codecache

import (
	"io/fs"
	"syscall"
)

// diskBytes is what a file takes of the disk.
func diskBytes(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512
	}
	return info.Size()
}
