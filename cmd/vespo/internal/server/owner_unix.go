//go:build unix

package server

import (
	"io/fs"
	"os"
	"syscall"
)

// foreign reports whether a file belongs to a user other than that of this process and the superuser, and whether the system
// has an answer.
func foreign(info fs.FileInfo) (other, known bool) {
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false, false
	}
	return status.Uid != 0 && int(status.Uid) != os.Geteuid(), true
}
