package files

import (
	"io/fs"

	"github.com/vespo-dev/vespo/runtime/abi"
)

// MaxOpen bounds the open files of one request.
const MaxOpen = 128

// Mounts are the directories of a guest in its current request. One goroutine uses them.
type Mounts struct {
	all    []abi.Mount // immutable; the same for all requests
	key    [16]byte    // immutable; of inode numbers
	used   []fs.FS     // of the request; nil before the first use of a mount
	pinned []func()    // release functions of the mounts in use
	open   int         // files and lists of directories
}

// NewMounts returns the mounts of a guest.
func NewMounts(env *abi.Environment) *Mounts {
	return &Mounts{all: env.Mounts, key: env.FileKey, used: make([]fs.FS, len(env.Mounts))}
}

// End releases the mounts that the request has used. All descriptors must have been dropped.
func (m *Mounts) End() {
	for _, release := range m.pinned {
		release()
	}
	clear(m.pinned)
	m.pinned = m.pinned[:0]
	clear(m.used)
}

// Open returns the number of open files and lists of directories.
func (m *Mounts) Open() int { return m.open }

// Paths returns where the guest finds the mounts.
func (m *Mounts) Paths() []string {
	paths := make([]string, len(m.all))
	for i := range m.all {
		paths[i] = m.all[i].GuestPath
	}
	return paths
}

// Root returns the directory of the mount with an index.
func (m *Mounts) Root(i int) *Descriptor {
	return &Descriptor{mounts: m, mount: i, path: ".", isDir: true}
}

// fs returns the file system of a mount. The first use pins it.
func (m *Mounts) fs(i int) fs.FS {
	switch from := &m.all[i]; {
	case m.used[i] != nil:
	case from.Pin == nil:
		m.used[i] = from.FS
	default:
		now, release := from.Pin()
		m.used[i] = now
		m.pinned = append(m.pinned, release)
	}
	return m.used[i]
}
