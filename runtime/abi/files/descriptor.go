package files

import (
	"errors"
	"io"
	"io/fs"
)

// Descriptor is a file or a directory of a mount.
type Descriptor struct {
	mounts *Mounts
	mount  int    // index of the mount
	path   string // within the mount, "." for its root
	isDir  bool
	file   *sharedFile // nil for a mount
}

// sharedFile is an open file, which streams of the guest may read after its descriptor was dropped.
type sharedFile struct {
	fs.File
	mounts *Mounts
	users  int
}

// release ends a use. The error of closing is ignored: files are read-only, so no data can be lost.
func (f *sharedFile) release() {
	if f == nil {
		return
	}
	if f.users--; f.users == 0 {
		f.mounts.open--
		_ = f.Close()
	}
}

// Drop implements canonical.Resource.
func (d *Descriptor) Drop() { d.file.release() }

// Again returns the descriptor for another request. Only mounts exist in each request: ok is false for other files.
func (d *Descriptor) Again(m *Mounts) (again *Descriptor, ok bool) {
	if d.file != nil {
		return nil, false
	}
	return &Descriptor{mounts: m, mount: d.mount, path: d.path, isDir: true}, true
}

// Lost is a file that was opened during the initialisation of the guest.
type Lost struct{}

// Drop implements canonical.Resource.
func (Lost) Drop() {}

// IsDir reports whether the descriptor is a directory.
func (d *Descriptor) IsDir() bool { return d.isDir }

// Resolve returns the name of a path of the guest relative to the descriptor.
func (d *Descriptor) Resolve(path string) (string, Failure) {
	if !d.isDir {
		return "", NoDirectory
	}
	return Resolve(d.path, []byte(path))
}

// Flags of open-at in wasi:filesystem@0.2 and 0.3, and of descriptors.
const (
	openCreate    = 1 << 0
	openDirectory = 1 << 1
	openExclusive = 1 << 2
	openTruncate  = 1 << 3
	flagWrite     = 1 << 1
	flagMutate    = 1 << 5
)

// OpenAt opens a file by its name, with the flags of open-at.
func (d *Descriptor) OpenAt(name string, open, flags uint32) (*Descriptor, Failure) {
	m := d.mounts
	switch {
	case open&(openCreate|openExclusive|openTruncate) != 0, flags&flagMutate != 0:
		return nil, ReadOnly
	case m.open >= MaxOpen:
		return nil, TooMany
	}
	file, isDir, f := Open(m.fs(d.mount), name, Wish{Directory: open&openDirectory != 0, Write: flags&flagWrite != 0})
	if f != None {
		return nil, f
	}
	m.open++
	return &Descriptor{mounts: m, mount: d.mount, path: name, isDir: isDir, file: &sharedFile{file, m, 1}}, None
}

// ReadLink returns the failure of every name: links are followed, so none is a link.
func (d *Descriptor) ReadLink(name string) Failure {
	if _, f := d.Stat(name); f != None {
		return f
	}
	return Invalid
}

// Stat describes the file of a name, or the descriptor itself if name is "".
func (d *Descriptor) Stat(name string) (fs.FileInfo, Failure) {
	if name == "" && d.file != nil {
		info, err := d.file.Stat()
		return info, Reason(err)
	}
	if name == "" {
		name = d.path
	}
	info, err := fs.Stat(d.mounts.fs(d.mount), name)
	return info, Reason(err)
}

// Inode returns the inode number of the file of a name, or of the descriptor itself if name is "".
func (d *Descriptor) Inode(name string) (uint64, Failure) {
	info, f := d.Stat(name)
	if f != None {
		return 0, f
	}
	if name == "" {
		name = d.path
	}
	return Inode(d.mounts.key, info, name), None
}

// Same reports whether two descriptors are the same file.
func (d *Descriptor) Same(as *Descriptor) bool {
	x, f := d.Inode("")
	y, g := as.Inode("")
	return f == None && g == None && x == y
}

// reader returns the contents of a regular file from an offset on.
func (d *Descriptor) reader(offset uint64) (io.ReaderAt, Failure) {
	var from io.ReaderAt
	if d.file != nil && !d.isDir {
		from, _ = d.file.File.(io.ReaderAt)
	}
	switch {
	case from == nil:
		return nil, IsDirectory
	case offset > 1<<63-1:
		return nil, Invalid
	}
	return from, None
}

// ReadAt reads from a regular file.
func (d *Descriptor) ReadAt(buf []byte, offset uint64) (n int, end bool, f Failure) {
	from, f := d.reader(offset)
	if f != None {
		return 0, false, f
	}
	n, err := from.ReadAt(buf, int64(offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return n, false, Broken
	}
	return n, err != nil, None
}

// Stream returns a reader of a regular file, which outlives the descriptor until release is called.
func (d *Descriptor) Stream(offset uint64) (from io.Reader, release func(), f Failure) {
	at, f := d.reader(offset)
	if f != None {
		return nil, nil, f
	}
	d.file.users++
	return io.NewSectionReader(at, int64(offset), 1<<63-1-int64(offset)), d.file.release, None
}

// List returns the entries of a directory. They count as an open file until release is called.
func (d *Descriptor) List() (list []fs.DirEntry, release func(), f Failure) {
	m := d.mounts
	switch {
	case !d.isDir:
		return nil, nil, NoDirectory
	case m.open >= MaxOpen:
		return nil, nil, TooMany
	}
	list, err := fs.ReadDir(m.fs(d.mount), d.path)
	if err != nil {
		return nil, nil, Reason(err)
	}
	m.open++
	return list, func() { m.open-- }, None
}
