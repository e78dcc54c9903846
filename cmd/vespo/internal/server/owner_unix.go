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
	owner, known := ownerOf(info)
	return known && owner != 0 && owner != os.Geteuid(), known
}

// ownerOf returns the user id of the owner of a file, if the system has one.
func ownerOf(info fs.FileInfo) (uid int, known bool) {
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(status.Uid), true
}
