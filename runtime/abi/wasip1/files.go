package wasip1

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"path"

	"github.com/vespo-dev/vespo/runtime/abi/files"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// failures are the error numbers of the failures of files.
var failures = [...]errno{
	files.None:        success,
	files.NotFound:    errNoent,
	files.Denied:      errAcces,
	files.Invalid:     errInval,
	files.TooMany:     errNfile,
	files.TooLong:     errNametoolong,
	files.Outside:     errNotcap,
	files.ReadOnly:    errRofs,
	files.NoDirectory: errNotdir,
	files.IsDirectory: errIsdir,
	files.Broken:      errIO,
}

// fileErrno returns the error number for a file system error.
func fileErrno(err error) errno { return failures[files.Reason(err)] }

// resolve returns the directory's file system and the path within it.
func (s *State) resolve(in *engine.Instance, fd, at, length uint64) (fs.FS, string, errno) {
	d, e := s.descriptor(fd)
	switch {
	case e != success:
		return nil, "", e
	case !d.isDir:
		return nil, "", errNotdir
	}
	name, failure := files.Resolve(d.path, in.View(uint32(at), uint32(length)))
	if failure != files.None {
		return nil, "", failures[failure]
	}
	return s.files(d), name, success
}

// Flags of path_open and fdflags that write.
const (
	openCreate    = 1 << 0
	openDirectory = 1 << 1
	openExclusive = 1 << 2
	openTruncate  = 1 << 3
	flagAppend    = 1 << 0
)

// pathOpen: fd, dirflags, path, path_len, oflags, rights_base, rights_inheriting, fdflags -> opened fd.
func pathOpen(in *engine.Instance, s *State, p []uint64) errno {
	e := s.openPath(in, p)
	if e != success && s.Resolves != nil && uint32(p[3]) == uint32(len(resolverFile)) && string(in.View(uint32(p[2]), uint32(p[3]))) == resolverFile {
		s.Resolves()
	}
	return e
}

// resolverFile names the name servers. Go's library opens it relative to the root, which it takes for open.
const resolverFile = "etc/resolv.conf"

func (s *State) openPath(in *engine.Instance, p []uint64) errno {
	fsys, name, e := s.resolve(in, p[0], p[2], p[3])
	if e != success {
		return e
	}
	flags := uint32(p[4])
	if flags&(openCreate|openExclusive|openTruncate) != 0 || uint32(p[7])&flagAppend != 0 {
		return errRofs
	}
	d := descriptor{fsys: fsys, path: name}
	var failure files.Failure
	d.file, d.isDir, failure = files.Open(fsys, name, files.Wish{Directory: flags&openDirectory != 0, Write: p[5]&rightWrite != 0})
	if failure != files.None {
		return failures[failure]
	}
	if !d.isDir {
		d.r = d.file
	}
	fd, e := s.insert(d)
	if e != success {
		d.close()
		return e
	}
	putUint32(in, uint32(p[8]), fd)
	return success
}

func fdPrestatGet(in *engine.Instance, s *State, p []uint64) errno {
	d, e := s.descriptor(p[0])
	if e != success || d.mount == "" {
		return errBadf
	}
	prestat := in.View(uint32(p[1]), 8)
	clear(prestat)
	binary.LittleEndian.PutUint32(prestat[4:], uint32(len(d.mount)))
	return success
}

func fdPrestatDirName(in *engine.Instance, s *State, p []uint64) errno {
	d, e := s.descriptor(p[0])
	switch {
	case e != success || d.mount == "":
		return errBadf
	case uint32(p[2]) < uint32(len(d.mount)):
		return errInval
	}
	copy(in.View(uint32(p[1]), uint32(len(d.mount))), d.mount)
	return success
}

// fileType returns the WASI file type.
func fileType(mode fs.FileMode) byte {
	switch {
	case mode.IsDir():
		return typeDirectory
	case mode.IsRegular():
		return typeRegular
	case mode&fs.ModeSymlink != 0:
		return typeLink
	}
	return typeUnknown
}

// putFilestat writes a filestat; name is the file's path in its file system.
func (s *State) putFilestat(in *engine.Instance, at uint64, info fs.FileInfo, name string) {
	stat := in.View(uint32(at), 64)
	clear(stat)
	binary.LittleEndian.PutUint64(stat[0:], deviceFiles)
	binary.LittleEndian.PutUint64(stat[8:], s.inode(info, name))
	stat[16] = fileType(info.Mode())
	binary.LittleEndian.PutUint64(stat[24:], 1) // link count
	binary.LittleEndian.PutUint64(stat[32:], uint64(info.Size()))
	for _, offset := range []int{40, 48, 56} {
		binary.LittleEndian.PutUint64(stat[offset:], uint64(info.ModTime().UnixNano()))
	}
}

// pathFilestatGet: fd, flags, path, path_len, buf. Links are always followed.
func pathFilestatGet(in *engine.Instance, s *State, p []uint64) errno {
	fsys, name, e := s.resolve(in, p[0], p[2], p[3])
	if e != success {
		return e
	}
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return fileErrno(err)
	}
	s.putFilestat(in, p[4], info, name)
	return success
}

func fdFilestatGet(in *engine.Instance, s *State, p []uint64) errno {
	d, e := s.descriptor(p[0])
	if e != success {
		return e
	}
	if d.fsys == nil {
		stat := in.View(uint32(p[1]), 64)
		clear(stat)
		binary.LittleEndian.PutUint64(stat[0:], deviceStreams)
		binary.LittleEndian.PutUint64(stat[8:], uint64(uint32(p[0]))+1)
		binary.LittleEndian.PutUint64(stat[24:], 1)
		return success
	}
	info, err := s.stat(d)
	if err != nil {
		return fileErrno(err)
	}
	s.putFilestat(in, p[1], info, d.path)
	return success
}

func (s *State) stat(d *descriptor) (fs.FileInfo, error) {
	if d.file != nil {
		return d.file.Stat()
	}
	return fs.Stat(s.files(d), d.path)
}

// seeker returns the descriptor's file for seeking, or errSpipe.
func (s *State) seeker(fd uint64) (io.Seeker, errno) {
	d, e := s.descriptor(fd)
	if e != success {
		return nil, e
	}
	if seeker, ok := d.file.(io.Seeker); ok && !d.isDir {
		return seeker, success
	}
	return nil, errSpipe
}

// fdSeek: fd, offset, whence -> new offset.
func fdSeek(in *engine.Instance, s *State, p []uint64) errno {
	seeker, e := s.seeker(p[0])
	if e != success {
		return e
	}
	whence := uint32(p[2])
	if whence > io.SeekEnd {
		return errInval
	}
	at, err := seeker.Seek(int64(p[1]), int(whence))
	if err != nil {
		return errInval
	}
	putUint64(in, uint32(p[3]), uint64(at))
	return success
}

func fdTell(in *engine.Instance, s *State, p []uint64) errno {
	seeker, e := s.seeker(p[0])
	if e != success {
		return e
	}
	at, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return errIO
	}
	putUint64(in, uint32(p[1]), uint64(at))
	return success
}

// fdPread: fd, vectors, count, offset -> n.
func fdPread(in *engine.Instance, s *State, p []uint64) errno {
	d, e := s.descriptor(p[0])
	switch {
	case e != success:
		return e
	case d.isDir:
		return errIsdir
	}
	from, ok := d.file.(io.ReaderAt)
	if !ok {
		return errSpipe
	}
	n := 0
	var failed error
	e = vectors(in, uint32(p[1]), uint32(p[2]), func(buf []byte) bool {
		var k int
		k, failed = from.ReadAt(buf, int64(p[3])+int64(n))
		n += k
		return failed == nil
	})
	if e != success {
		return e
	}
	if failed != nil && !errors.Is(failed, io.EOF) {
		return errInval
	}
	putUint32(in, uint32(p[4]), uint32(n))
	return success
}

// readdirBatch is the number of entries between two checks of the deadline.
const readdirBatch = 32

// direntBytes is the size of the fixed part of a directory entry.
const direntBytes = 24

// fdReaddir: fd, buf, buf_len, cookie -> used. A cookie is the index of an entry; "." and ".." are
// the first two. An entry that does not fit is truncated, which tells the guest that there is more.
func fdReaddir(in *engine.Instance, s *State, p []uint64) errno {
	d, e := s.descriptor(p[0])
	switch {
	case e != success:
		return e
	case !d.isDir:
		return errNotdir
	}
	buf := in.View(uint32(p[1]), uint32(p[2]))
	if p[3] == 0 || d.entries == nil {
		entries, err := fs.ReadDir(s.files(d), d.path)
		if err != nil {
			return fileErrno(err)
		}
		d.entries = entries
	}
	used := 0
	for i := p[3]; i < uint64(len(d.entries))+2 && used < len(buf); i++ {
		name, kind, at := [...]string{".", ".."}[min(i, 1)], byte(typeDirectory), d.path
		switch {
		case i == 1:
			at = path.Dir(d.path) // the root is its own parent
		case i >= 2:
			entry := d.entries[i-2]
			name, kind = entry.Name(), fileType(entry.Type())
			at = path.Join(d.path, name)
		}
		var fixed [direntBytes]byte
		binary.LittleEndian.PutUint64(fixed[0:], i+1)
		binary.LittleEndian.PutUint64(fixed[8:], s.inodeOf(d.fsys, at))
		binary.LittleEndian.PutUint32(fixed[16:], uint32(len(name)))
		fixed[20] = kind
		used += copy(buf[used:], fixed[:])
		used += copy(buf[used:], name)
		if i%readdirBatch == 0 {
			in.Check()
		}
	}
	putUint32(in, uint32(p[4]), uint32(used))
	return success
}
