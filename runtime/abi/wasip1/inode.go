package wasip1

import (
	"io/fs"

	"github.com/vespo-dev/vespo/runtime/abi/files"
)

// Device numbers that guests see. Programs identify files by device
// and inode, and treat zero as a file system without inodes.
const (
	deviceFiles   = 1
	deviceStreams = 2
)

// inode returns a file's inode number for the guest.
func (s *State) inode(info fs.FileInfo, name string) uint64 {
	return files.Inode(s.FileKey, info, name)
}

// inodeOf returns the inode number of a name. Links are
// followed, as everywhere. For a broken link the name is hashed.
func (s *State) inodeOf(fsys fs.FS, name string) uint64 {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		info = nil
	}
	return s.inode(info, name)
}
