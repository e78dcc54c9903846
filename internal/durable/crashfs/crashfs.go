// Package crashfs is a durable.FS in memory, for tests. It models crashes and injects faults.
//
// Contents that were not fsynced may survive a crash wholly, partly or not at all, and each change of a name whose
// directory was not fsynced may survive it or not. This is harsher than most file systems, which keep some order: a
// promise that holds here holds on them.
package crashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/vespo-dev/vespo/internal/durable"
)

// ErrCrashed is the error of operations after a crash.
var ErrCrashed = errors.New("the machine is off")

// FS implements durable.FS. It is safe for concurrent use.
type FS struct {
	mu    sync.Mutex
	top   *node                    // guarded by mu
	fault func(op Operation) Fault // guarded by mu; nil: none
	count int                      // guarded by mu: operations so far
}

var _ durable.FS = (*FS)(nil)

// node is a file or a directory.
type node struct {
	data   []byte
	synced []byte // the part of data certain to survive a crash; nil if never fsynced

	names   map[string]*node // as seen by a running process; nil for a file
	durable map[string]*node // certain to survive a crash
	pending []change         // uncertain to survive
}

// change binds a name to a node, or to none.
type change struct {
	name string
	to   *node
	with *move // nil unless the change is one of a pair
}

// move is the rename of a directory: a change of the old name and one of the new. Unlike the names of a file, both
// are changed or neither, because a directory cannot have two names.
type move struct{ durable bool }

// Operation is the operation about to run.
type Operation struct {
	N    int    // number of operations before it
	Kind string // create, write, sync, close, rename, remove, syncdir
	Name string // of the file; for a rename the new one
}

// Fault is the failure of an operation. The zero value is none.
type Fault struct {
	Err    error
	Effect bool // the operation has its effect nevertheless, as with EIO
}

// New returns an empty directory.
func New() *FS { return &FS{top: newDirectory()} }

func newDirectory() *node {
	return &node{names: make(map[string]*node), durable: make(map[string]*node)}
}

// Inject makes operations fail as fault returns. A nil fault ends that.
func (c *FS) Inject(fault func(op Operation) Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = fault
}

// Count returns the number of operations so far. Reading is none.
func (c *FS) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// CrashAt returns a fault that makes all operations from number n on fail, as if the process was gone.
func CrashAt(n int) func(Operation) Fault {
	return func(op Operation) Fault {
		if op.N >= n {
			return Fault{Err: ErrCrashed}
		}
		return Fault{}
	}
}

// do counts an operation and runs it, unless it has a fault without effect.
func (c *FS) do(kind, name string, effect func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	op := Operation{N: c.count, Kind: kind, Name: name}
	c.count++
	if c.fault != nil {
		if f := c.fault(op); f.Err != nil {
			if f.Effect {
				_ = effect()
			}
			return fmt.Errorf("%s %s: %w", kind, name, f.Err)
		}
	}
	return effect()
}

// find returns the node of a name, or nil.
func (c *FS) find(name string) *node {
	at := c.top
	if name == "." {
		return at
	}
	for part := range strings.SplitSeq(name, "/") {
		if at = at.names[part]; at == nil {
			return nil
		}
	}
	return at
}

// directory returns the directory that holds a name.
func (c *FS) directory(name string) (*node, error) {
	d := c.find(path.Dir(name))
	if d == nil || d.names == nil {
		return nil, missing(name)
	}
	return d, nil
}

func missing(name string) error { return fmt.Errorf("%s: %w", name, fs.ErrNotExist) }

// set binds the name to a node, or to none. It is not durable.
func (n *node) set(name string, to *node, with *move) {
	n.pending = append(n.pending, change{name: name, to: to, with: with})
	if to == nil {
		delete(n.names, name)
	} else {
		n.names[name] = to
	}
}

// MkdirAll implements durable.FS.
func (c *FS) MkdirAll(dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.top
	if dir == "." {
		return nil
	}
	for part := range strings.SplitSeq(dir, "/") {
		if at.names[part] == nil {
			at.names[part] = newDirectory()
		}
		if at.durable[part] != at.names[part] {
			at.durable[part] = at.names[part]
			at.pending = slices.DeleteFunc(at.pending, func(c change) bool { return c.name == part })
		}
		if at = at.names[part]; at.names == nil {
			return fmt.Errorf("%s: %w", dir, fs.ErrExist)
		}
	}
	return nil
}

// ReadDir implements durable.FS.
func (c *FS) ReadDir(dir string) ([]durable.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.find(dir)
	if d == nil || d.names == nil {
		return nil, missing(dir)
	}
	var entries []durable.Entry
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		isDir := d.names[name].names != nil
		entries = append(entries, durable.Entry{Name: name, Regular: !isDir, Dir: isDir})
	}
	return entries, nil
}

// ReadFile implements durable.FS.
func (c *FS) ReadFile(name string, most int64) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	file := c.find(name)
	switch {
	case file == nil:
		return nil, missing(name)
	case file.names != nil:
		return nil, durable.ErrIrregular
	case int64(len(file.data)) > most:
		return nil, durable.ErrTooLarge
	}
	return slices.Clone(file.data), nil
}

// Open implements durable.FS. The file is read as it is now.
func (c *FS) Open(name string) (io.ReadSeekCloser, error) {
	data, err := c.ReadFile(name, math.MaxInt64)
	return opened{bytes.NewReader(data)}, err
}

type opened struct{ *bytes.Reader }

// Close implements io.Closer.
func (opened) Close() error { return nil }

// Create implements durable.FS.
func (c *FS) Create(name string, _ fs.FileMode) (durable.File, error) {
	created := &node{}
	err := c.do("create", name, func() error {
		d, err := c.directory(name)
		if err != nil {
			return err
		}
		if d.names[path.Base(name)] != nil {
			return fs.ErrExist
		}
		d.set(path.Base(name), created, nil)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &file{fs: c, name: name, node: created}, nil
}

// Rename implements durable.FS.
func (c *FS) Rename(from, to string) error {
	return c.do("rename", to, func() error {
		moved := c.find(from)
		if moved == nil {
			return missing(from)
		}
		source, _ := c.directory(from) // it exists, since moved does
		target, err := c.directory(to)
		if err != nil {
			return err
		}
		if old := target.names[path.Base(to)]; old != nil && (old.names != nil || moved.names != nil) {
			return fs.ErrExist
		}
		var both *move
		if moved.names != nil {
			both = &move{}
		}
		target.set(path.Base(to), moved, both)
		source.set(path.Base(from), nil, both)
		return nil
	})
}

// Remove implements durable.FS.
func (c *FS) Remove(name string) error {
	return c.do("remove", name, func() error {
		gone := c.find(name)
		switch {
		case gone == nil:
			return missing(name)
		case len(gone.names) > 0:
			return fs.ErrExist
		}
		d, err := c.directory(name)
		if err != nil {
			return err
		}
		d.set(path.Base(name), nil, nil)
		return nil
	})
}

// SyncDir implements durable.FS.
func (c *FS) SyncDir(dir string) error {
	return c.do("syncdir", dir, func() error {
		d := c.find(dir)
		if d == nil || d.names == nil {
			return missing(dir)
		}
		for _, change := range d.pending {
			if change.with != nil {
				change.with.durable = true
			}
		}
		d.durable, d.pending = maps.Clone(d.names), nil
		return nil
	})
}

// file implements durable.File.
type file struct {
	fs   *FS
	name string
	node *node
}

func (f *file) Write(p []byte) (n int, err error) {
	err = f.fs.do("write", f.name, func() error {
		f.node.data = append(f.node.data, p...)
		n = len(p)
		return nil
	})
	return n, err
}

func (f *file) Sync() error {
	return f.fs.do("sync", f.name, func() error {
		f.node.synced = append([]byte{}, f.node.data...)
		return nil
	})
}

func (f *file) Close() error {
	return f.fs.do("close", f.name, func() error { return nil })
}
