package wasip1

import (
	"crypto/sha256"
	"encoding/binary"
	"io/fs"
)

// Device numbers that guests see. Programs identify files by device
// and inode, and treat zero as a file system without inodes.
const (
	deviceFiles   = 1
	deviceStreams = 2
)

// inode returns a file's inode number for the guest: the same for the same file under any name, and
// never zero. It is a keyed hash (FileKey) of the host's device and inode numbers, so that the guest
// learns nothing about the host's file systems. Where the host has no such numbers, the name is hashed.
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

// inodeOf returns the inode number of a name. Links are
// followed, as everywhere. For a broken link the name is hashed.
func (s *State) inodeOf(fsys fs.FS, name string) uint64 {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		info = nil
	}
	return s.inode(info, name)
}
