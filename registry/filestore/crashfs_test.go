package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
)

// crashFS is a file system in memory that models crashes. Contents that were not fsynced may survive a crash
// wholly, partly or not at all, and so may each change of a name whose directory was not fsynced.
type crashFS struct {
	mu      sync.Mutex
	dirs    map[string]bool   // durable at once, as fileSystem specifies
	names   map[string]*inode // as seen by a running process
	durable map[string]*inode // certain to survive a crash
	pending []nameChange      // uncertain to survive

	fault func(op operation) fault // nil: none
	count int                      // of operations so far
}

type inode struct {
	data   []byte
	synced []byte // the part of data certain to survive a crash; nil if never fsynced
}

// nameChange binds a name to a file, or to none.
type nameChange struct {
	name string
	file *inode
}

// operation is the operation about to run: its number, kind and file.
type operation struct {
	n    int
	kind string // create, write, sync, close, rename, remove, syncdir
	name string
}

// fault is the failure of an operation. The operation may have its effect nevertheless, as with EIO.
type fault struct {
	err    error
	effect bool
}

func newCrashFS() *crashFS {
	return &crashFS{
		dirs: map[string]bool{".": true}, names: make(map[string]*inode), durable: make(map[string]*inode),
	}
}

// clone returns a possible content after a crash at this moment. lose decides for each uncertain change
// whether it is lost.
func (c *crashFS) clone(rng *rand.Rand, lose func() bool) *crashFS {
	c.mu.Lock()
	defer c.mu.Unlock()
	after := maps.Clone(c.durable)
	for _, change := range c.pending {
		if lose() {
			continue
		}
		if change.file == nil {
			delete(after, change.name)
		} else {
			after[change.name] = change.file
		}
	}
	found := newCrashFS()
	found.dirs = maps.Clone(c.dirs)
	contents := make(map[*inode]*inode) // one file may have two names
	for name, file := range after {
		if contents[file] == nil {
			data := survived(file, rng, lose)
			contents[file] = &inode{data: data, synced: data}
		}
		found.names[name] = contents[file]
	}
	found.durable = maps.Clone(found.names)
	return found
}

func survived(file *inode, rng *rand.Rand, lose func() bool) []byte {
	switch {
	case file.synced != nil && string(file.synced) == string(file.data):
		return slices.Clone(file.data)
	case !lose():
		return slices.Clone(file.data)
	case file.synced != nil:
		return slices.Clone(file.synced)
	}
	torn := slices.Clone(file.data[:rng.IntN(len(file.data)+1)])
	if len(torn) > 0 && rng.IntN(2) == 0 {
		clear(torn[rng.IntN(len(torn)):]) // blocks that were allocated but never written
	}
	return torn
}

// do counts an operation and runs it, unless it has a fault without effect.
func (c *crashFS) do(kind, name string, effect func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	op := operation{n: c.count, kind: kind, name: name}
	c.count++
	if c.fault != nil {
		if f := c.fault(op); f.err != nil {
			if f.effect {
				_ = effect()
			}
			return fmt.Errorf("%s %s: %w", kind, name, f.err)
		}
	}
	return effect()
}

func (c *crashFS) change(name string, file *inode) {
	c.pending = append(c.pending, nameChange{name: name, file: file})
	if file == nil {
		delete(c.names, name)
	} else {
		c.names[name] = file
	}
}

func (c *crashFS) MkdirAll(dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; dir != "."; dir = path.Dir(dir) {
		c.dirs[dir] = true
	}
	return nil
}

func (c *crashFS) ReadDir(dir string) ([]entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var entries []entry
	for name := range c.names {
		if path.Dir(name) == dir {
			entries = append(entries, entry{name: path.Base(name), regular: true})
		}
	}
	for name := range c.dirs {
		if name != "." && path.Dir(name) == dir {
			entries = append(entries, entry{name: path.Base(name)})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries, nil
}

func (c *crashFS) ReadFile(name string, most int64) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	file := c.names[name]
	switch {
	case file == nil:
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	case int64(len(file.data)) > most:
		return nil, errTooLarge
	}
	return slices.Clone(file.data), nil
}

func (c *crashFS) Create(name string) (file, error) {
	node := &inode{}
	err := c.do("create", name, func() error {
		if c.names[name] != nil {
			return fs.ErrExist
		}
		if !c.dirs[path.Dir(name)] {
			return fs.ErrNotExist
		}
		c.change(name, node)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &crashFile{fs: c, name: name, node: node}, nil
}

func (c *crashFS) Rename(from, to string) error {
	return c.do("rename", to, func() error {
		node := c.names[from]
		if node == nil {
			return fs.ErrNotExist
		}
		c.change(to, node)
		c.change(from, nil)
		return nil
	})
}

func (c *crashFS) Remove(name string) error {
	return c.do("remove", name, func() error {
		if c.names[name] == nil {
			return fs.ErrNotExist
		}
		c.change(name, nil)
		return nil
	})
}

func (c *crashFS) SyncDir(dir string) error {
	return c.do("syncdir", dir, func() error {
		var rest []nameChange
		for _, change := range c.pending {
			switch {
			case path.Dir(change.name) != dir:
				rest = append(rest, change)
			case change.file == nil:
				delete(c.durable, change.name)
			default:
				c.durable[change.name] = change.file
			}
		}
		c.pending = rest
		return nil
	})
}

type crashFile struct {
	fs   *crashFS
	name string
	node *inode
}

func (f *crashFile) Write(p []byte) (n int, err error) {
	err = f.fs.do("write", f.name, func() error {
		f.node.data = append(f.node.data, p...)
		n = len(p)
		return nil
	})
	return n, err
}

func (f *crashFile) Sync() error {
	return f.fs.do("sync", f.name, func() error {
		f.node.synced = append([]byte{}, f.node.data...)
		return nil
	})
}

func (f *crashFile) Close() error {
	return f.fs.do("close", f.name, func() error { return nil })
}

var errCrashed = errors.New("the machine is off")

// crashAt makes all operations from n on fail.
func crashAt(n int) func(operation) fault {
	return func(op operation) fault {
		if op.n >= n {
			return fault{err: errCrashed}
		}
		return fault{}
	}
}
