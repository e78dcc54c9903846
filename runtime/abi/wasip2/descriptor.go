package wasip2

import (
	"errors"
	"io"
	"io/fs"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/files"
)

// maxOpenFiles bounds the open files of one request.
const maxOpenFiles = 128

// Descriptor is a file or a directory of a mount.
type Descriptor struct {
	state *State
	mount int    // index in State.shared
	path  string // within the mount, "." for its root
	isDir bool
	file  *sharedFile // nil for a mount
}

// sharedFile is an open file, which streams of the guest may read after its descriptor was dropped.
type sharedFile struct {
	fs.File
	state *State
	users int
}

// release ends a use. The error of closing is ignored: files are read-only, so no data can be lost.
func (f *sharedFile) release() {
	if f == nil {
		return
	}
	if f.users--; f.users == 0 {
		f.state.openFiles--
		_ = f.Close()
	}
}

// Drop implements canonical.Resource.
func (d *Descriptor) Drop() { d.file.release() }

// Renew implements canonical.Durable. Only mounts exist in each request; another file has to be opened again.
func (d *Descriptor) Renew(c *canonical.State) canonical.Resource {
	if d.file != nil {
		return lost{}
	}
	return &Descriptor{state: of(c), mount: d.mount, path: d.path, isDir: true}
}

// lost is a file that was opened during the initialisation.
type lost struct{}

// Drop implements canonical.Resource.
func (lost) Drop() {}

// files returns the file system of a descriptor. The first use of a mount pins it.
func (d *Descriptor) files() fs.FS {
	s := d.state
	m, from := &s.mounts[d.mount], &s.shared[d.mount]
	switch {
	case m.fsys != nil:
	case from.Pin == nil:
		m.fsys = from.FS
	default:
		now, release := from.Pin()
		m.fsys = now
		s.pinned = append(s.pinned, release)
	}
	return m.fsys
}

// resolve returns the name of a path of the guest relative to the descriptor.
func (d *Descriptor) resolve(s *State, at, length uint64) (string, files.Failure) {
	path, ok := s.Text(at, length, files.MaxPathBytes)
	switch {
	case !ok:
		return "", files.TooLong
	case !d.isDir:
		return "", files.NoDirectory
	}
	return files.Resolve(d.path, []byte(path))
}

// open opens a file relative to the descriptor.
func (d *Descriptor) open(name string, w files.Wish) (*Descriptor, files.Failure) {
	s := d.state
	if s.openFiles >= maxOpenFiles {
		return nil, files.TooMany
	}
	file, isDir, f := files.Open(d.files(), name, w)
	if f != files.None {
		return nil, f
	}
	s.openFiles++
	return &Descriptor{state: s, mount: d.mount, path: name, isDir: isDir, file: &sharedFile{file, s, 1}}, files.None
}

// stat describes the file of a name, or the descriptor itself if name is "".
func (d *Descriptor) stat(name string) (fs.FileInfo, files.Failure) {
	if name == "" && d.file != nil {
		info, err := d.file.Stat()
		return info, files.Reason(err)
	}
	if name == "" {
		name = d.path
	}
	info, err := fs.Stat(d.files(), name)
	return info, files.Reason(err)
}

// readAt reads from a regular file.
func (d *Descriptor) readAt(buf []byte, offset uint64) (n int, end bool, f files.Failure) {
	from, ok := d.file.reader()
	if !ok || d.isDir {
		return 0, false, isDirectory
	}
	if offset > 1<<63-1 {
		return 0, false, files.Invalid
	}
	n, err := from.ReadAt(buf, int64(offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return n, false, files.Broken
	}
	return n, err != nil, files.None
}

func (f *sharedFile) reader() (io.ReaderAt, bool) {
	if f == nil {
		return nil, false
	}
	r, ok := f.File.(io.ReaderAt)
	return r, ok
}

// stream returns a stream of a regular file.
func (d *Descriptor) stream(offset uint64) (*InputStream, files.Failure) {
	from, ok := d.file.reader()
	switch {
	case !ok || d.isDir:
		return nil, isDirectory
	case offset > 1<<63-1:
		return nil, files.Invalid
	}
	d.file.users++
	return &InputStream{From: io.NewSectionReader(from, int64(offset), 1<<63-1-int64(offset)), Dropped: d.file.release}, files.None
}

// entries is the position in a directory. It counts as an open file.
type entries struct {
	state *State
	list  []fs.DirEntry
}

// Drop implements canonical.Resource.
func (e *entries) Drop() { e.state.openFiles-- }
