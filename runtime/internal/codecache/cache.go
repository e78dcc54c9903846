// Package codecache stores files of compiled code in a directory, with limits on their
// number and their disk space.
//
// The directory code/ has one file for each module: DIGEST-VARIANT-SUM-NAME. DIGEST is that of
// the module, VARIANT that of everything else its code depends on, SUM the checksum of the file,
// and NAME is wazero's file name. The directory work/ has a directory for each open Cache, where compilers write
// and wazero finds the file to load. Open reads the directory once; afterwards the totals
// are kept in memory. Files are evicted in the order of their last use.
//
// All files can be recreated. Several processes may use a directory; each counts only the files it knows.
package codecache

import (
	"container/list"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

const (
	codeDir  = "code"
	workDir  = "work"
	lockFile = "lock"

	lockSuffix = ".lock" // suffix of the lock file of a work directory, locked while the directory is in use
)

// Key identifies the code of a module.
type Key struct {
	Module  [16]byte // digest of the module
	Variant [16]byte // digest of all other inputs: the rewriting of the module and the compiler
}

// Options limits a Cache. Zero means no limit.
type Options struct {
	Bytes int64 // disk space
	Files int
}

// Cache is an open cache directory. It is safe for concurrent use.
type Cache struct {
	dir     string       // immutable
	options Options      // immutable
	work    string       // immutable; work directory of this Cache
	lock    *flock.Flock // immutable; held as long as work is used
	stop    chan struct{}
	swept   sync.WaitGroup // removal of files that do not belong to the cache

	mu    sync.Mutex
	files map[[16]byte]*list.Element // guarded by mu; by Key.Module
	order *list.List                 // guarded by mu; of *file, least recently used first
	bytes int64                      // guarded by mu

	hits, misses, evicted int64 // guarded by mu; see Stats
}

type file struct {
	key       Key
	sum       checksum // of the content
	name      string   // wazero's file name
	diskBytes int64
	used      time.Time // modification time when the directory was read
}

func (f *file) fileName() string {
	return hex.EncodeToString(f.key.Module[:]) + "-" + hex.EncodeToString(f.key.Variant[:]) + "-" +
		hex.EncodeToString(f.sum[:]) + "-" + f.name
}

// parseName is the inverse of fileName.
func parseName(name string) (*file, bool) {
	parts := strings.SplitN(name, "-", 4)
	f := &file{}
	if len(parts) != 4 || !decodeInto(f.key.Module[:], parts[0]) || !decodeInto(f.key.Variant[:], parts[1]) ||
		!decodeInto(f.sum[:], parts[2]) || parts[3] == "" {
		return nil, false
	}
	f.name = parts[3]
	return f, true
}

func decodeInto(to []byte, text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && copy(to, b) == len(to) && len(b) == len(to)
}

// Open reads the directory, evicts files beyond the limits, and starts to remove files
// that do not belong to the cache, such as those of earlier versions. A missing directory
// is created, with access for its owner only. The caller must close the Cache.
func Open(dir string, o Options) (_ *Cache, err error) {
	c := &Cache{dir: dir, options: o, stop: make(chan struct{}), files: make(map[[16]byte]*list.Element), order: list.New()}
	for _, d := range []string{dir, filepath.Join(dir, codeDir), filepath.Join(dir, workDir)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("compiled code cannot be kept: %w", err)
		}
		if err := os.Chmod(d, 0o700); err != nil {
			return nil, fmt.Errorf("compiled code cannot be kept safely: %w", err)
		}
	}
	all := flock.New(filepath.Join(dir, lockFile)) // a concurrent Open must not take the new work directory for an abandoned one
	if err := all.Lock(); err != nil {
		return nil, fmt.Errorf("lock the compiled code: %w", err)
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	strangers, err := c.openWork()
	if err != nil {
		return nil, err
	}
	found, err := c.read()
	if err != nil {
		return nil, errors.Join(err, c.closeWork())
	}
	strangers = append(strangers, found...)
	if len(strangers) > 0 {
		c.swept.Go(func() { c.sweep(strangers) })
	}
	return c, nil
}

// openWork creates the work directory of the Cache, and returns the paths abandoned by others.
func (c *Cache) openWork() (left []string, err error) {
	dir := filepath.Join(c.dir, workDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the compiled code: %w", err)
	}
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		if abandoned(strings.TrimSuffix(name, lockSuffix) + lockSuffix) {
			left = append(left, name)
		}
	}
	if c.work, err = os.MkdirTemp(dir, ""); err != nil {
		return nil, fmt.Errorf("compiled code cannot be kept: %w", err)
	}
	c.lock = flock.New(c.work + lockSuffix)
	if err := c.lock.Lock(); err != nil {
		return nil, fmt.Errorf("lock the compiled code: %w", err)
	}
	return left, nil
}

// abandoned reports whether the lock file is missing or not locked.
func abandoned(path string) bool {
	if _, err := os.Lstat(path); err != nil {
		return true
	}
	lock := flock.New(path)
	taken, err := lock.TryLock()
	return err == nil && taken && lock.Close() == nil
}

// read fills the index, and returns the paths that do not belong to the cache.
func (c *Cache) read() (strangers []string, err error) {
	top, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, fmt.Errorf("read the compiled code: %w", err)
	}
	for _, entry := range top {
		if name := entry.Name(); name != codeDir && name != workDir && name != lockFile {
			strangers = append(strangers, filepath.Join(c.dir, name))
		}
	}
	entries, err := os.ReadDir(filepath.Join(c.dir, codeDir))
	if err != nil {
		return nil, fmt.Errorf("read the compiled code: %w", err)
	}
	var files []*file
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed by another process
		}
		f, ok := parseName(entry.Name())
		if err != nil || !ok || !info.Mode().IsRegular() {
			strangers = append(strangers, filepath.Join(c.dir, codeDir, entry.Name()))
			continue
		}
		f.diskBytes, f.used = diskBytes(info), info.ModTime()
		files = append(files, f)
	}
	slices.SortStableFunc(files, func(a, b *file) int { return a.used.Compare(b.used) })
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range files {
		c.addLocked(f)
	}
	return strangers, c.trimLocked()
}

// sweep removes paths that do not belong to the cache. That may take long, but does not
// block the cache. After Close, the next Open removes the rest.
func (c *Cache) sweep(paths []string) {
	for _, path := range paths {
		select {
		case <-c.stop:
			return
		default:
			_ = os.RemoveAll(path)
		}
	}
}

// Close removes the work directory of the Cache.
func (c *Cache) Close() error {
	close(c.stop)
	c.swept.Wait()
	return c.closeWork()
}

func (c *Cache) closeWork() error {
	return errors.Join(os.RemoveAll(c.work), os.Remove(c.lock.Path()), c.lock.Close())
}

// WorkDir creates a directory for a file that is passed to Put later. The caller must remove it.
func (c *Cache) WorkDir() (string, error) { return os.MkdirTemp(c.work, "") }

// Put moves a file into the cache under key, replacing other code of the module. The
// last element of path must be wazero's file name. Put then evicts the least recently
// used files, down to the limits; the new file may be among them.
func (c *Cache) Put(key Key, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	sum, err := sumOf(path)
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	f := &file{key: key, sum: sum, name: filepath.Base(path), diskBytes: diskBytes(info)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.removeLocked(key.Module); err != nil {
		return err
	}
	if err := os.Rename(path, c.path(f)); err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	c.addLocked(f)
	return c.trimLocked()
}

func (c *Cache) path(f *file) string { return filepath.Join(c.dir, codeDir, f.fileName()) }

// Stage links the file of key into dir under wazero's name. dir must be in a WorkDir. ok is false
// if there is no such file, or if its content has changed since Put. release removes the link.
func (c *Cache) Stage(key Key, dir string) (release func(), ok bool, err error) {
	release, ok, err = c.stageSound(key, dir)
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok {
		c.hits++
	} else {
		c.misses++
	}
	return release, ok, err
}

// stageSound is Stage without the counters.
func (c *Cache) stageSound(key Key, dir string) (release func(), ok bool, err error) {
	staged, sum, err := c.stage(key, dir)
	if staged == "" || err != nil {
		return nil, false, err
	}
	release = func() { _ = os.Remove(staged) }
	if got, err := sumOf(staged); err != nil || got != sum { // wazero would execute it, or crash
		release()
		return nil, false, c.Forget(key.Module)
	}
	return release, true, nil
}

// stage is Stage without the check of the content. staged is empty if there is no such file.
func (c *Cache) stage(key Key, dir string) (staged string, sum checksum, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.files[key.Module]
	if !ok || e.Value.(*file).key != key {
		return "", sum, nil
	}
	f := e.Value.(*file)
	staged = filepath.Join(dir, f.name)
	switch err := link(c.path(f), staged); {
	case errors.Is(err, fs.ErrNotExist): // the directory was emptied from outside
		return "", sum, c.removeLocked(key.Module)
	case err != nil:
		return "", sum, fmt.Errorf("load compiled code: %w", err)
	}
	c.order.MoveToBack(e)
	now := time.Now()
	_ = os.Chtimes(c.path(f), now, now) // only the eviction order after a restart depends on it
	return staged, f.sum, nil
}

// Forget removes the code of a module, if there is any.
func (c *Cache) Forget(module [16]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removeLocked(module)
}

// Retain removes the code of all modules for which keep returns false.
func (c *Cache) Retain(keep func(module [16]byte) bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for module := range c.files {
		if !keep(module) {
			errs = append(errs, c.removeLocked(module))
		}
	}
	return errors.Join(errs...)
}

// Halve removes the least recently used files until at most half of the disk space is left.
// It is for a disk that is full before the limits are reached.
func (c *Cache) Halve() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for most := c.bytes / 2; c.bytes > most; {
		if err := c.removeLocked(c.order.Front().Value.(*file).key.Module); err != nil {
			return err
		}
		c.evicted++
	}
	return nil
}

// Stats is a snapshot of a Cache's counters.
type Stats struct {
	Files   int
	Bytes   int64 // disk space
	Hits    int64 // code found by Stage, since Open
	Misses  int64 // code not found by Stage: it has to be compiled
	Evicted int64 // files removed for the limits, or for a full disk
}

// Stats returns the current counters.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{Files: len(c.files), Bytes: c.bytes, Hits: c.hits, Misses: c.misses, Evicted: c.evicted}
}

func (c *Cache) addLocked(f *file) {
	if _, ok := c.files[f.key.Module]; ok {
		_ = c.removeLocked(f.key.Module) // an older variant: if it cannot be removed, the next Open finds it again
	}
	c.files[f.key.Module] = c.order.PushBack(f)
	c.bytes += f.diskBytes
}

func (c *Cache) removeLocked(module [16]byte) error {
	e, ok := c.files[module]
	if !ok {
		return nil
	}
	f := e.Value.(*file)
	if err := os.Remove(c.path(f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove compiled code: %w", err)
	}
	c.order.Remove(e)
	delete(c.files, module)
	c.bytes -= f.diskBytes
	return nil
}

// trimLocked removes the least recently used files until the rest is within the limits.
func (c *Cache) trimLocked() error {
	for c.order.Len() > 0 && (c.options.Bytes > 0 && c.bytes > c.options.Bytes || c.options.Files > 0 && c.order.Len() > c.options.Files) {
		if err := c.removeLocked(c.order.Front().Value.(*file).key.Module); err != nil {
			return err
		}
		c.evicted++
	}
	return nil
}
