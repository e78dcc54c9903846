package wasip2

import (
	"io/fs"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/files"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// The error-codes of wasi:filesystem.
const (
	codeAccess       = 0
	codeInvalid      = 12
	codeIO           = 13
	codeIsDirectory  = 14
	codeNameTooLong  = 18
	codeNoEntry      = 20
	codeMemory       = 22
	codeNoDirectory  = 24
	codeNotPermitted = 31
	codeReadOnly     = 33
)

// code returns the error-code of a failure.
func code(f files.Failure) byte {
	switch f {
	case files.NotFound:
		return codeNoEntry
	case files.Denied:
		return codeAccess
	case files.Invalid:
		return codeInvalid
	case files.TooMany:
		return codeMemory
	case files.TooLong:
		return codeNameTooLong
	case files.Outside:
		return codeNotPermitted
	case files.ReadOnly:
		return codeReadOnly
	case files.NoDirectory:
		return codeNoDirectory
	case files.IsDirectory:
		return codeIsDirectory
	}
	return codeIO
}

// The cases of descriptor-type.
const (
	typeUnknown   = 0
	typeDirectory = 3
	typeLink      = 5
	typeRegular   = 6
)

func typeOf(mode fs.FileMode) byte {
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

func fileModules() []engine.HostModule {
	return []engine.HostModule{
		module("wasi:filesystem/preopens", define("get-directories", none, getDirectories, i32)),
		module("wasi:filesystem/types", append(readers(), writers()...)...),
	}
}

// readers returns the functions that read.
func readers() []engine.HostFunc {
	return []engine.HostFunc{
		define("[method]descriptor.read-via-stream", none, readViaStream, i32, i64, i32),
		define("[method]descriptor.advise", none, advise, i32, i64, i64, i32, i32),
		define("[method]descriptor.get-flags", none, getFlags, i32, i32),
		define("[method]descriptor.get-type", none, getType, i32, i32),
		define("[method]descriptor.read", none, readFile, i32, i64, i64, i32),
		define("[method]descriptor.read-directory", none, readDirectory, i32, i32),
		define("[method]descriptor.sync", none, synced, i32, i32),
		define("[method]descriptor.sync-data", none, synced, i32, i32),
		define("[method]descriptor.stat", none, stat, i32, i32),
		define("[method]descriptor.stat-at", none, statAt, i32, i32, i32, i32, i32),
		define("[method]descriptor.open-at", none, openAt, i32, i32, i32, i32, i32, i32, i32),
		define("[method]descriptor.readlink-at", none, readlinkAt, i32, i32, i32, i32),
		define("[method]descriptor.is-same-object", i32, isSameObject, i32, i32),
		define("[method]descriptor.metadata-hash", none, metadataHash, i32, i32),
		define("[method]descriptor.metadata-hash-at", none, metadataHashAt, i32, i32, i32, i32, i32),
		define("[method]directory-entry-stream.read-directory-entry", none, readEntry, i32, i32),
		define("filesystem-error-code", none, func(s *State, p []uint64) {
			canonical.Get[*Error](&s.Handles, p[0])
			s.Area(p[1], 2, 1)[0] = 0
		}, i32, i32),
		canonical.DropFunc[*descriptor]("descriptor"),
		canonical.DropFunc[*entries]("directory-entry-stream"),
	}
}

// writers returns the functions that would write. Mounts are read-only.
func writers() []engine.HostFunc {
	return []engine.HostFunc{
		define("[method]descriptor.write-via-stream", none, refuseStream(2), i32, i64, i32),
		define("[method]descriptor.append-via-stream", none, refuseStream(1), i32, i32),
		define("[method]descriptor.set-size", none, refuse(2), i32, i64, i32),
		define("[method]descriptor.set-times", none, refuse(7), i32, i32, i64, i32, i32, i64, i32, i32),
		define("[method]descriptor.write", none, refuseWrite, i32, i32, i32, i64, i32),
		define("[method]descriptor.create-directory-at", none, refuse(3), i32, i32, i32, i32),
		define("[method]descriptor.set-times-at", none, refuse(10), i32, i32, i32, i32, i32, i64, i32, i32, i64, i32, i32),
		define("[method]descriptor.link-at", none, refuse(7), i32, i32, i32, i32, i32, i32, i32, i32),
		define("[method]descriptor.remove-directory-at", none, refuse(3), i32, i32, i32, i32),
		define("[method]descriptor.rename-at", none, refuse(6), i32, i32, i32, i32, i32, i32, i32),
		define("[method]descriptor.symlink-at", none, refuse(5), i32, i32, i32, i32, i32, i32),
		define("[method]descriptor.unlink-file-at", none, refuse(3), i32, i32, i32, i32),
	}
}

// descriptor is the resource of a file or a directory.
type descriptor struct{ *files.Descriptor }

// Renew implements canonical.Durable. Only mounts exist in each request; another file has to be opened again.
func (d *descriptor) Renew(c *canonical.State) canonical.Resource {
	if again, ok := d.Again(of(c).mounts); ok {
		return &descriptor{again}
	}
	return files.Lost{}
}

// entries is the position in a directory.
type entries struct {
	list    []fs.DirEntry
	release func()
}

// Drop implements canonical.Resource.
func (e *entries) Drop() { e.release() }

func (s *State) descriptor(v uint64) *descriptor { return canonical.Get[*descriptor](&s.Handles, v) }

// resolve returns the name of a path of the guest relative to a descriptor.
func (s *State) resolve(d *descriptor, at, length uint64) (string, files.Failure) {
	path, ok := s.Text(at, length, files.MaxPathBytes)
	if !ok {
		return "", files.TooLong
	}
	return d.Resolve(path)
}

// putFailure writes a result whose payload, at this offset, is an error-code.
func putFailure(m []byte, at int, f files.Failure) { m[0], m[at] = 1, code(f) }

// refuse returns a function whose result, in the parameter with this index, is result<_, error-code>.
func refuse(result int) func(s *State, p []uint64) {
	return func(s *State, p []uint64) {
		s.descriptor(p[0])
		putFailure(s.Area(p[result], 2, 1), 1, files.ReadOnly)
	}
}

// refuseStream returns a function whose result is result<own<output-stream>, error-code>.
func refuseStream(result int) func(s *State, p []uint64) {
	return func(s *State, p []uint64) {
		s.descriptor(p[0])
		putFailure(s.Area(p[result], 8, 4), 4, files.ReadOnly)
	}
}

// refuseWrite has result<u64, error-code>.
func refuseWrite(s *State, p []uint64) {
	s.descriptor(p[0])
	putFailure(s.Area(p[4], 16, 8), 8, files.ReadOnly)
}

// getDirectories returns a list of handles and paths.
func getDirectories(s *State, p []uint64) {
	paths := s.mounts.Paths()
	list := s.PutList(s.Area(p[0], 8, 4), 0, len(paths), 12, 4)
	for i, path := range paths {
		canonical.PutUint32(list, 12*i, uint32(s.Handles.Add(&descriptor{s.mounts.Root(i)}, 0)))
		s.PutString(list, 12*i+4, path)
	}
}

// putHandle writes a result that is a handle.
func (s *State) putHandle(m []byte, r canonical.Resource) {
	m[0] = 0
	canonical.PutUint32(m, 4, uint32(s.Handles.Add(r, 0)))
}

func readViaStream(s *State, p []uint64) {
	d, m := s.descriptor(p[0]), s.Area(p[2], 8, 4)
	from, release, f := d.Stream(p[1])
	if f != files.None {
		putFailure(m, 4, f)
		return
	}
	s.putHandle(m, &InputStream{From: from, Dropped: release})
}

func advise(s *State, p []uint64) {
	s.descriptor(p[0])
	canonical.Case(p[3], 6)
	s.Area(p[4], 2, 1)[0] = 0
}

func synced(s *State, p []uint64) {
	s.descriptor(p[0])
	s.Area(p[1], 2, 1)[0] = 0
}

const flagRead = 1 << 0

func getFlags(s *State, p []uint64) {
	s.descriptor(p[0])
	m := s.Area(p[1], 2, 1)
	m[0], m[1] = 0, flagRead
}

func getType(s *State, p []uint64) {
	d, m := s.descriptor(p[0]), s.Area(p[1], 2, 1)
	if m[0], m[1] = 0, typeRegular; d.IsDir() {
		m[1] = typeDirectory
	}
}

// readFile: length, offset -> (list<u8>, end of the file).
func readFile(s *State, p []uint64) {
	d, m := s.descriptor(p[0]), s.Area(p[3], 16, 4)
	if s.space == nil {
		s.space = make([]byte, ReadBytes)
	}
	data := s.space[:min(p[1], ReadBytes)]
	n, end, f := d.ReadAt(data, p[2])
	if f != files.None {
		putFailure(m, 4, f)
		return
	}
	s.PutBytes(m, 4, data[:n])
	if m[0], m[12] = 0, 0; end {
		m[12] = 1
	}
	s.In.Check()
}

func readDirectory(s *State, p []uint64) {
	d, m := s.descriptor(p[0]), s.Area(p[1], 8, 4)
	list, release, f := d.List()
	if f != files.None {
		putFailure(m, 4, f)
		return
	}
	s.putHandle(m, &entries{list, release})
	s.In.Check()
}

// readEntry returns the next entry of a directory, or none at the end.
func readEntry(s *State, p []uint64) {
	e, m := canonical.Get[*entries](&s.Handles, p[0]), s.Area(p[1], 20, 4)
	m[0], m[4] = 0, 0
	if len(e.list) == 0 {
		return
	}
	m[4], m[8] = 1, typeOf(e.list[0].Type())
	name := e.list[0].Name()
	e.list = e.list[1:]
	s.PutString(m, 12, validText(name))
}

// putStat writes a result that is a descriptor-stat.
func putStat(m []byte, info fs.FileInfo, f files.Failure) {
	if f != files.None {
		putFailure(m, 8, f)
		return
	}
	clear(m)
	m[8] = typeOf(info.Mode())
	canonical.PutUint64(m, 16, 1) // link count
	canonical.PutUint64(m, 24, uint64(info.Size()))
	for _, at := range []int{32, 56, 80} { // times of access, modification and status change
		m[at] = 1
		putDatetime(m[at+8:], info.ModTime())
	}
}

func stat(s *State, p []uint64) {
	d, m := s.descriptor(p[0]), s.Area(p[1], 104, 8)
	info, f := d.Stat("")
	putStat(m, info, f)
	s.In.Check()
}

// statAt: descriptor, flags, path -> descriptor-stat. Links are always followed.
func statAt(s *State, p []uint64) {
	d, m := s.descriptor(p[0]), s.Area(p[4], 104, 8)
	name, f := s.resolve(d, p[2], p[3])
	var info fs.FileInfo
	if f == files.None {
		info, f = d.Stat(name)
	}
	putStat(m, info, f)
	s.In.Check()
}

// openAt: descriptor, path flags, path, open flags, descriptor flags -> descriptor.
func openAt(s *State, p []uint64) {
	d, m := s.descriptor(p[0]), s.Area(p[6], 8, 4)
	name, f := s.resolve(d, p[2], p[3])
	var opened *files.Descriptor
	if f == files.None {
		opened, f = d.OpenAt(name, uint32(p[4]), uint32(p[5]))
	}
	if f != files.None {
		putFailure(m, 4, f)
	} else {
		s.putHandle(m, &descriptor{opened})
	}
	s.In.Check()
}

// readlinkAt reports every name as no link, since links are followed.
func readlinkAt(s *State, p []uint64) {
	d, m := s.descriptor(p[0]), s.Area(p[3], 12, 4)
	name, f := s.resolve(d, p[1], p[2])
	if f == files.None {
		f = d.ReadLink(name)
	}
	putFailure(m, 4, f)
}

func isSameObject(s *State, p []uint64) {
	a, b := s.descriptor(p[0]), s.descriptor(p[1])
	if p[0] = 0; a.Same(b.Descriptor) {
		p[0] = 1
	}
	s.In.Check()
}

func (s *State) putHash(m []byte, d *descriptor, name string, f files.Failure) {
	var sum uint64
	if f == files.None {
		sum, f = d.Inode(name)
	}
	if f != files.None {
		putFailure(m, 8, f)
		return
	}
	m[0] = 0
	canonical.PutUint64(m, 8, sum)
	canonical.PutUint64(m, 16, 0)
	s.In.Check()
}

func metadataHash(s *State, p []uint64) {
	s.putHash(s.Area(p[1], 24, 8), s.descriptor(p[0]), "", files.None)
}

func metadataHashAt(s *State, p []uint64) {
	d, m := s.descriptor(p[0]), s.Area(p[4], 24, 8)
	name, f := s.resolve(d, p[2], p[3])
	s.putHash(m, d, name, f)
}
