package wasip1

import (
	"crypto/sha256"
	"encoding/binary"
	"io/fs"
)

// The devices that guests see. Programs tell files apart by device and inode, and take zero for a file system that has no inodes.
const (
	deviceFiles   = 1
	deviceStreams = 2
)

// inode returns the inode number of a file for the guest: the same for the same file, whatever its name, and never zero. It is a hash of what the
// host has, with the service's key: the guest learns nothing of the host's file systems. Where the host has no such numbers, it is one of the
// name.
func (s *State) inode(info fs.FileInfo, name string) uint64 {
	text := append(make([]byte, 0, 64), s.FileKey[:]...)
	if device, number, ok := identity(info); ok {
		text = binary.LittleEndian.AppendUint64(append(text, 'i'), device)
		text = binary.LittleEndian.AppendUint64(text, number)
	} else {
		text = append(append(text, 'n'), name...)
	}
	sum := sha256.Sum256(text)
	return max(binary.LittleEndian.Uint64(sum[:]), 1)
}

// inodeOf is the inode number of a name. As everywhere, links are followed; one that leads nowhere has the number of its name.
func (s *State) inodeOf(fsys fs.FS, name string) uint64 {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		info = nil
	}
	return s.inode(info, name)
}
