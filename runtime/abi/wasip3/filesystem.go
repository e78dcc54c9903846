package wasip3

import (
	"io/fs"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/concurrent"
	"github.com/vespo-dev/vespo/runtime/abi/files"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// descriptor is the resource of a file or a directory.
type descriptor struct {
	*files.Descriptor
	of func(c *canonical.State) *State
}

// Renew implements canonical.Durable. Only mounts exist in each request; another file has to be opened again.
func (d *descriptor) Renew(c *canonical.State) canonical.Resource {
	if again, ok := d.Again(d.of(c).Mounts); ok {
		return &descriptor{again, d.of}
	}
	return files.Lost{}
}

func descriptorOf(c *canonical.State, handle uint64) *descriptor {
	return canonical.Get[*descriptor](&c.Handles, handle)
}

// codes are the cases of error-code.
var codes = [...]byte{
	files.NotFound:    19, // no-entry
	files.Denied:      0,  // access
	files.Invalid:     11, // invalid
	files.TooMany:     21, // insufficient-memory
	files.TooLong:     17, // name-too-long
	files.Outside:     30, // not-permitted
	files.ReadOnly:    32, // read-only
	files.NoDirectory: 23, // not-directory
	files.IsDirectory: 13, // is-directory
	files.Broken:      12, // io
}

// The cases of descriptor-type.
const (
	typeDirectory = 2
	typeLink      = 4
	typeRegular   = 5
	typeOther     = 7
)

// The layout of results. A payload that is aligned to 8 bytes is at wideAt.
const (
	resultBytes = 20
	resultAlign = 4
	payloadAt   = 4
	wideAt      = 8
	statBytes   = wideAt + 104
	hashBytes   = wideAt + 16
	wideAlign   = 8
)

// put returns the zeroed area of a result, whose payload is at an offset. ok is false if the result is an error-code.
func put(c *canonical.State, at uint64, bytes, align uint32, payload int, f files.Failure) (m []byte, ok bool) {
	m = c.Area(at, bytes, align)
	clear(m)
	c.In.Check()
	if f != files.None {
		m[0], m[payload] = 1, codes[f]
	}
	return m, f == files.None
}

func putType(m []byte, mode fs.FileMode) {
	switch {
	case mode.IsDir():
		m[0] = typeDirectory
	case mode.IsRegular():
		m[0] = typeRegular
	case mode&fs.ModeSymlink != 0:
		m[0] = typeLink
	default:
		m[0] = typeOther
	}
}

func fileModules(of func(c *canonical.State) *State) []engine.HostModule {
	return []engine.HostModule{
		module("wasi:filesystem/preopens", canonical.Func("get-directories", none, func(c *canonical.State, p []uint64) {
			mounts := of(c).Mounts
			paths := mounts.Paths()
			list := c.PutList(c.Area(p[0], 8, 4), 0, len(paths), 12, 4)
			for i, path := range paths {
				canonical.PutUint32(list, 12*i, uint32(c.Handles.Add(&descriptor{mounts.Root(i), of}, 0)))
				c.PutString(list, 12*i+4, path)
			}
		}, i32)),
		module("wasi:filesystem/types", append(readers(), writers()...)...),
	}
}

// returned is the state of a subtask that is over.
const returned = 2

// method returns a method of descriptor in its two forms, which differ in their result. It never waits.
func method(name string, f func(c *canonical.State, p []uint64), params ...engine.ValueType) []engine.HostFunc {
	name = "[method]descriptor." + name
	return []engine.HostFunc{
		canonical.Func(name, none, f, params...),
		canonical.Func("[async-lower]"+name, i32, func(c *canonical.State, p []uint64) {
			f(c, p)
			p[0] = returned
		}, params...),
	}
}

// spilled is method for one with more than four parameters, which the asynchronous form finds in memory: load reads them.
func spilled(name string, f func(c *canonical.State, p []uint64), load func(c *canonical.State, at uint64, p []uint64), params ...engine.ValueType) []engine.HostFunc {
	name = "[method]descriptor." + name
	return []engine.HostFunc{
		canonical.Func(name, none, f, params...),
		canonical.Func("[async-lower]"+name, i32, func(c *canonical.State, p []uint64) {
			all := make([]uint64, len(params))
			load(c, p[0], all)
			all[len(all)-1] = p[1]
			f(c, all)
			p[0] = returned
		}, i32, i32),
	}
}

// readers returns the functions that read.
func readers() (all []engine.HostFunc) {
	for _, forms := range [][]engine.HostFunc{
		method("advise", func(c *canonical.State, p []uint64) {
			descriptorOf(c, p[0])
			canonical.Case(p[3], 6)
			put(c, p[4], resultBytes, resultAlign, payloadAt, files.None)
		}, i32, i64, i64, i32, i32),
		method("sync-data", synced, i32, i32),
		method("sync", synced, i32, i32),
		method("get-flags", func(c *canonical.State, p []uint64) {
			descriptorOf(c, p[0])
			m, _ := put(c, p[1], resultBytes, resultAlign, payloadAt, files.None)
			m[payloadAt] = 1 // read
		}, i32, i32),
		method("get-type", func(c *canonical.State, p []uint64) {
			d := descriptorOf(c, p[0])
			m, _ := put(c, p[1], resultBytes, resultAlign, payloadAt, files.None)
			if m[payloadAt] = typeRegular; d.IsDir() {
				m[payloadAt] = typeDirectory
			}
		}, i32, i32),
		method("stat", func(c *canonical.State, p []uint64) { putStat(c, p[1], descriptorOf(c, p[0]), "", files.None) }, i32, i32),
		method("stat-at", func(c *canonical.State, p []uint64) {
			d, name, f := resolved(c, p[0], p[2], p[3])
			putStat(c, p[4], d, name, f)
		}, i32, i32, i32, i32, i32),
		spilled("open-at", openAt, loadOpenAt, i32, i32, i32, i32, i32, i32, i32),
		method("readlink-at", func(c *canonical.State, p []uint64) {
			d, name, f := resolved(c, p[0], p[1], p[2])
			if f == files.None {
				f = d.ReadLink(name)
			}
			put(c, p[3], resultBytes, resultAlign, payloadAt, f)
		}, i32, i32, i32, i32),
		method("metadata-hash", func(c *canonical.State, p []uint64) { putHash(c, p[1], descriptorOf(c, p[0]), "", files.None) }, i32, i32),
		method("metadata-hash-at", func(c *canonical.State, p []uint64) {
			d, name, f := resolved(c, p[0], p[2], p[3])
			putHash(c, p[4], d, name, f)
		}, i32, i32, i32, i32, i32),
	} {
		all = append(all, forms...)
	}
	same := func(c *canonical.State, p []uint64) byte {
		if descriptorOf(c, p[0]).Same(descriptorOf(c, p[1]).Descriptor) {
			return 1
		}
		return 0
	}
	return append(all,
		canonical.Func("[method]descriptor.is-same-object", i32, func(c *canonical.State, p []uint64) { p[0] = uint64(same(c, p)) }, i32, i32),
		canonical.Func("[async-lower][method]descriptor.is-same-object", i32, func(c *canonical.State, p []uint64) {
			c.Area(p[2], 1, 1)[0] = same(c, p)
			p[0] = returned
		}, i32, i32, i32),
		canonical.Func("[method]descriptor.read-via-stream", none, readViaStream, i32, i64, i32),
		canonical.Func("[method]descriptor.read-directory", none, readDirectory, i32, i32),
		canonical.DropFunc[*descriptor]("descriptor"),
	)
}

func synced(c *canonical.State, p []uint64) {
	descriptorOf(c, p[0])
	put(c, p[1], resultBytes, resultAlign, payloadAt, files.None)
}

// resolved returns a descriptor, and the name of a path relative to it.
func resolved(c *canonical.State, handle, at, length uint64) (d *descriptor, name string, f files.Failure) {
	d = descriptorOf(c, handle)
	path, ok := c.Text(at, length, files.MaxPathBytes)
	if !ok {
		return d, "", files.TooLong
	}
	name, f = d.Resolve(path)
	return d, name, f
}

// putStat stores the description of the file of a name, or of the descriptor itself if name is "". Links are followed.
func putStat(c *canonical.State, at uint64, d *descriptor, name string, f files.Failure) {
	var info fs.FileInfo
	if f == files.None {
		info, f = d.Stat(name)
	}
	m, ok := put(c, at, statBytes, wideAlign, wideAt, f)
	if !ok {
		return
	}
	m = m[wideAt:]
	putType(m, info.Mode())
	canonical.PutUint64(m, 16, 1) // link count
	canonical.PutUint64(m, 24, uint64(info.Size()))
	for _, at := range []int{32, 56, 80} { // times of access, modification and status change
		m[at] = 1
		putInstant(m[at+8:], info.ModTime())
	}
}

func putInstant(m []byte, t time.Time) {
	canonical.PutUint64(m, 0, uint64(t.Unix()))
	canonical.PutUint32(m, 8, uint32(t.Nanosecond()))
}

func putHash(c *canonical.State, at uint64, d *descriptor, name string, f files.Failure) {
	var number uint64
	if f == files.None {
		number, f = d.Inode(name)
	}
	if m, ok := put(c, at, hashBytes, wideAlign, wideAt, f); ok {
		canonical.PutUint64(m, wideAt, number)
	}
}

// openAt: descriptor, path flags, path, open flags, descriptor flags -> descriptor.
func openAt(c *canonical.State, p []uint64) {
	d, name, f := resolved(c, p[0], p[2], p[3])
	m, ok := put(c, p[6], resultBytes, resultAlign, payloadAt, f) // before the file is open, which belongs to nothing if it traps
	if !ok {
		return
	}
	opened, f := d.OpenAt(name, uint32(p[4]), uint32(p[5]))
	if f != files.None {
		m[0], m[payloadAt] = 1, codes[f]
	} else {
		canonical.PutUint32(m, payloadAt, uint32(c.Handles.Add(&descriptor{opened, d.of}, 0)))
	}
	c.In.Check()
}

func loadOpenAt(c *canonical.State, at uint64, p []uint64) {
	m := c.Area(at, 20, 4)
	p[0], p[1] = uint64(canonical.Uint32(m, 0)), uint64(m[4])
	p[2], p[3] = uint64(canonical.Uint32(m, 8)), uint64(canonical.Uint32(m, 12))
	p[4], p[5] = uint64(m[16]), uint64(m[17])
}

// writers returns the functions that would write. Mounts are read-only.
func writers() []engine.HostFunc {
	refuse := func(result int) func(c *canonical.State, p []uint64) {
		return func(c *canonical.State, p []uint64) {
			descriptorOf(c, p[0])
			put(c, p[result], resultBytes, resultAlign, payloadAt, files.ReadOnly)
		}
	}
	first := func(align uint32) func(c *canonical.State, at uint64, p []uint64) { // nothing else is looked at
		return func(c *canonical.State, at uint64, p []uint64) {
			p[0] = uint64(canonical.Uint32(c.Area(at, 4, align), 0))
		}
	}
	all := []engine.HostFunc{
		canonical.Func("[method]descriptor.write-via-stream", i32, refuseStream, i32, i32, i64),
		canonical.Func("[method]descriptor.append-via-stream", i32, refuseStream, i32, i32),
	}
	for _, forms := range [][]engine.HostFunc{
		method("set-size", refuse(2), i32, i64, i32),
		method("create-directory-at", refuse(3), i32, i32, i32, i32),
		method("remove-directory-at", refuse(3), i32, i32, i32, i32),
		method("unlink-file-at", refuse(3), i32, i32, i32, i32),
		spilled("set-times", refuse(7), first(8), i32, i32, i64, i32, i32, i64, i32, i32),
		spilled("set-times-at", refuse(10), first(8), i32, i32, i32, i32, i32, i64, i32, i32, i64, i32, i32),
		spilled("link-at", refuse(7), first(4), i32, i32, i32, i32, i32, i32, i32, i32),
		spilled("rename-at", refuse(6), first(4), i32, i32, i32, i32, i32, i32, i32),
		spilled("symlink-at", refuse(5), first(4), i32, i32, i32, i32, i32, i32),
	} {
		all = append(all, forms...)
	}
	return all
}

// refuseStream drops what the guest would write.
func refuseStream(c *canonical.State, p []uint64) {
	descriptorOf(c, p[0])
	tasks := concurrent.Of(c)
	tasks.Lift(uint32(p[1]), bytesType()).Drop()
	p[0] = uint64(tasks.NewReadable(fileEnd(), over(files.ReadOnly)))
}

const typeText = "variant<block-device,character-device,directory,fifo,symbolic-link,regular-file,socket,other(option<string>)>"

// fileEnd is the type of the future of how a stream of a file or a directory has ended.
func fileEnd() concurrent.Type {
	return concurrent.Type{
		Future: true,
		Elem: "result<_,variant<" + strings.Join([]string{
			"access", "already", "bad-descriptor", "busy", "deadlock", "quota", "exist", "file-too-large", "illegal-byte-sequence",
			"in-progress", "interrupted", "invalid", "io", "is-directory", "loop", "too-many-links", "message-size", "name-too-long",
			"no-device", "no-entry", "no-lock", "insufficient-memory", "insufficient-space", "not-directory", "not-empty",
			"not-recoverable", "unsupported", "no-tty", "no-such-device", "overflow", "not-permitted", "pipe", "read-only",
			"invalid-seek", "text-file-busy", "cross-device", "other(option<string>)",
		}, ",") + ">>",
		Size:  resultBytes,
		Align: resultAlign,
	}
}

// entryType is the type of the stream of a directory.
func entryType() concurrent.Type {
	return concurrent.Type{Elem: "record<type:" + typeText + ",name:string>", Size: 24, Align: 4}
}
