package wasip1

import (
	"io"
	"io/fs"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// maxDescriptors bounds the open descriptors of one request, including standard streams and mounts.
const maxDescriptors = 128

// State is the state of the system interface for the current request. It is an engine.Instance's System.
type State struct {
	Args, Env []string    // Env entries have the form "NAME=value"
	Mounts    []abi.Mount // the same for all requests
	FileKey   [16]byte    // key of inode numbers; the same for all requests
	Resolves  func()      // see abi.Environment; may be nil

	stdin          io.Reader // of the last Begin
	stdout, stderr io.Writer // of the last Begin
	table          []descriptor
	pinned         []func()      // release functions of the mounts in use
	napped         time.Duration // time slept with output still held back
	touched        bool          // table or napped may differ from their state after Begin
}

// descriptor is an entry of the table. The zero descriptor is closed.
type descriptor struct {
	r io.Reader // nil if it cannot be read as a stream
	w io.Writer // nil if it cannot be written

	file    fs.File // an open file or directory; nil for streams and mounts
	fsys    fs.FS   // file system that contains it; nil for streams
	path    string  // within fsys, "." for its root
	isDir   bool
	mount   string                 // guest path, if it is one of the mounts
	pin     func() (fs.FS, func()) // of a mount that is not used yet; fsys is absent then
	entries []fs.DirEntry          // of a directory that is being read
}

// absent is the file system of a mount before its first use.
type absent struct{}

// Open implements fs.FS.
func (absent) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// files returns the file system of a descriptor. The first use of a mount pins it.
func (s *State) files(d *descriptor) fs.FS {
	if d.pin != nil {
		now, release := d.pin()
		d.fsys, d.pin = now, nil
		s.pinned = append(s.pinned, release)
	}
	return d.fsys
}

func (d *descriptor) open() bool { return d.r != nil || d.w != nil || d.fsys != nil }

// Begin sets up the descriptors of a request: the standard streams, then the mounts.
// It discards the descriptors of the previous request. A nil stream is closed.
func (s *State) Begin(stdin io.Reader, stdout, stderr io.Writer) {
	s.touched = true
	s.End()
	s.napped, s.stdin, s.stdout, s.stderr = 0, stdin, stdout, stderr
	s.table = append(s.table[:0], descriptor{r: stdin}, descriptor{w: stdout}, descriptor{w: stderr})
	for _, m := range s.Mounts {
		d := descriptor{fsys: m.FS, path: ".", isDir: true, mount: m.GuestPath, pin: m.Pin}
		if m.Pin != nil {
			d.fsys = absent{}
		}
		s.table = append(s.table, d)
	}
}

// Again is Begin with the streams of the last one. Most requests of a handler
// do not use the system interface; for those, Again and End do nothing.
func (s *State) Again() {
	if s.touched {
		s.Begin(s.stdin, s.stdout, s.stderr)
		s.touched = false
	}
}

// End closes the files that the guest left open, and releases the mounts.
func (s *State) End() {
	if !s.touched {
		return
	}
	for i := range s.table {
		s.table[i].close()
	}
	for _, release := range s.pinned {
		release()
	}
	clear(s.pinned)
	s.pinned = s.pinned[:0]
}

// Use sets the state that all instances of a service share.
func (s *State) Use(env *abi.Environment) {
	s.Mounts, s.FileKey, s.Resolves = env.Mounts, env.FileKey, env.Resolves
}

// close closes a descriptor. The error is ignored: files are read-only, so no data can be lost.
func (d *descriptor) close() {
	if d.file != nil {
		_ = d.file.Close()
	}
	*d = descriptor{}
}

// insert stores a descriptor at the lowest free number.
func (s *State) insert(d descriptor) (fd uint32, e errno) {
	for i := range s.table {
		if !s.table[i].open() {
			s.table[i] = d
			return uint32(i), success
		}
	}
	if len(s.table) >= maxDescriptors {
		return 0, errMfile
	}
	s.table = append(s.table, d)
	return uint32(len(s.table) - 1), success
}

// state returns the State for a host function, and marks it touched.
func state(in *engine.Instance) *State {
	s := in.System.(*State)
	s.touched = true
	return s
}

func (s *State) descriptor(fd uint64) (*descriptor, errno) {
	if fd := uint32(fd); fd < uint32(len(s.table)) && s.table[fd].open() {
		return &s.table[fd], success
	}
	return nil, errBadf
}
