// Package codecache stores files of compiled code in a directory, with limits on their
// number and their disk space.
//
// Modules that differ only in data share their code. The directory code/ has one file for each code: CODE-SUM-NAME.
// CODE is the digest of everything that the code depends on, SUM the checksum of the file, and NAME is wazero's file
// name. It is a file of wazero, or a packed one; see package codemap. The directory uses/ has an empty file CODE-MODULE for each module that uses the code. The last use that is
// forgotten removes the code. The directory about/ has the descriptions of code: ID-CODE-SUM, where ID is what the caller
// finds it by and SUM the checksum of the file. They are removed with the code. The directory snapshots/ has the snapshots of
// modules: ID-CODE-MODULE-SUM. They are removed with the code or the use. The directory work/ has a directory for each open Cache, where compilers write
// and wazero finds the file to load. Open reads the directories once; afterwards the totals
// are kept in memory. Files are evicted in the order of their last use.
//
// All files can be recreated, and may be removed from outside at any time, with their directories. Several processes may
// use a directory; each counts only the files it knows.
package codecache

import (
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gofrs/flock"
)

const (
	codeDir     = "code"
	usesDir     = "uses"
	aboutDir    = "about"
	snapshotDir = "snapshots"
	workDir     = "work"
	lockFile    = "lock"

	lockSuffix = ".lock" // suffix of the lock file of a work directory, locked while the directory is in use
)

// Digest is a SHA-256 sum.
type Digest = [sha256.Size]byte

// Key identifies the use of a code by a module.
type Key struct {
	Module Digest // of the module
	Code   Digest // of the rewritten module. wazero's file name stands for the compiler and the processor
}

// Options limits a Cache. Zero means no limit.
type Options struct {
	Bytes         int64 // disk space
	SnapshotBytes int64 // the part of it that snapshots may take
	Files         int   // of code, and as many of snapshots
}

// Cache is an open cache directory. It is safe for concurrent use.
type Cache struct {
	dir     string  // immutable
	options Options // immutable
	work    string  // immutable; work directory of this Cache
	owner   int     // immutable after Open; user id of new files, 0 where there are none
	stop    chan struct{}

	mending sync.Mutex   // taken after mu, if both are
	lock    *flock.Flock // guarded by mending; held as long as work is used

	swept sync.WaitGroup // removal of files that do not belong to the cache

	mu    sync.Mutex
	files map[Digest]*list.Element // guarded by mu; by Key.Code
	used  map[Digest]Digest        // guarded by mu; from Key.Module to the Key.Code of one of files
	about map[Digest]Digest        // guarded by mu; from the id of a description to the Key.Code of one of files
	order *list.List               // guarded by mu; of *file, least recently used first
	bytes int64                    // guarded by mu

	snapshots snapshots // guarded by mu

	hits, misses, evicted int64 // guarded by mu; see Stats
}

// useName returns the name of the file that records a use.
func (k Key) useName() string {
	return hex.EncodeToString(k.Code[:]) + "-" + hex.EncodeToString(k.Module[:])
}

// parseUse is the inverse of useName.
func parseUse(name string) (k Key, ok bool) {
	code, module, ok := strings.Cut(name, "-")
	return k, ok && decodeInto(k.Code[:], code) && decodeInto(k.Module[:], module)
}

func decodeInto(to []byte, text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && copy(to, b) == len(to) && len(b) == len(to)
}

// Open reads the directory, evicts files beyond the limits, and starts to remove files
// that do not belong to the cache, such as those of earlier versions. A missing directory
// is created, with access for its owner only. The caller must close the Cache.
func Open(dir string, o Options) (_ *Cache, err error) {
	c := &Cache{
		dir:       dir,
		options:   o,
		stop:      make(chan struct{}),
		files:     make(map[Digest]*list.Element),
		used:      make(map[Digest]Digest),
		about:     make(map[Digest]Digest),
		order:     list.New(),
		snapshots: newSnapshots(),
	}
	if err := makeDirs(dir); err != nil {
		return nil, err
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
	own, err := os.Lstat(c.work)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the compiled code: %w", err), c.closeWork())
	}
	c.owner = ownerOf(own)
	if err := c.takeOver(); err != nil {
		return nil, errors.Join(err, c.closeWork())
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

// takeOver gives the directories to the owner of new ones. The superuser can open the cache of another user, who could write machine code
// there otherwise.
func (c *Cache) takeOver() error {
	for _, name := range directories() {
		d := filepath.Join(c.dir, name)
		info, err := os.Stat(d)
		if err == nil && ownerOf(info) != c.owner {
			err = os.Chown(d, c.owner, -1)
		}
		if err != nil {
			return fmt.Errorf("compiled code cannot be kept safely: %w", err)
		}
	}
	return nil
}

func directories() []string { return []string{".", codeDir, usesDir, aboutDir, snapshotDir, workDir} }

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
		if !slices.Contains([]string{codeDir, usesDir, aboutDir, snapshotDir, workDir, lockFile}, entry.Name()) {
			strangers = append(strangers, filepath.Join(c.dir, entry.Name()))
		}
	}
	files, others, err := c.readCode()
	if err != nil {
		return nil, err
	}
	strangers = append(strangers, others...)
	slices.SortStableFunc(files, func(a, b *file) int { return a.last.Compare(b.last) })
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range files {
		c.addLocked(f)
	}
	if others, err = c.readUsesLocked(); err != nil {
		return nil, err
	}
	strangers = append(strangers, others...)
	if others, err = c.readAboutLocked(); err != nil {
		return nil, err
	}
	strangers = append(strangers, others...)
	if others, err = c.readSnapshotsLocked(); err != nil {
		return nil, err
	}
	return append(strangers, others...), errors.Join(c.trimSnapshotsLocked(), c.trimLocked())
}

// readCode returns the files of code, and the paths of others.
func (c *Cache) readCode() (files []*file, strangers []string, err error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, codeDir))
	if err != nil {
		return nil, nil, fmt.Errorf("read the compiled code: %w", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed by another process
		}
		f, ok := parseName(entry.Name())
		empty := err == nil && info.Size() == 0 // it must not take the place of another file with its code
		if err != nil || !ok || !info.Mode().IsRegular() || empty || ownerOf(info) != c.owner {
			strangers = append(strangers, filepath.Join(c.dir, codeDir, entry.Name()))
			continue
		}
		f.diskBytes, f.last = diskBytes(info), info.ModTime()
		files = append(files, f)
	}
	return files, strangers, nil
}

// readUsesLocked reads the uses of the files, and returns the paths of others.
func (c *Cache) readUsesLocked() (strangers []string, err error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, usesDir))
	if err != nil {
		return nil, fmt.Errorf("read the compiled code: %w", err)
	}
	for _, entry := range entries {
		k, ok := parseUse(entry.Name())
		e := c.files[k.Code]
		if _, twice := c.used[k.Module]; !ok || e == nil || twice {
			strangers = append(strangers, filepath.Join(c.dir, usesDir, entry.Name()))
			continue
		}
		c.used[k.Module] = k.Code
		e.Value.(*file).users[k.Module] = struct{}{}
	}
	return strangers, nil
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
	c.mending.Lock()
	defer c.mending.Unlock()
	err := os.Remove(c.lock.Path())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(os.RemoveAll(c.work), err, c.lock.Close())
}

// WorkDir creates a directory for a file that is passed to Put later. The caller must remove it.
func (c *Cache) WorkDir() (dir string, err error) {
	err = c.withDirs(func() error {
		dir, err = os.MkdirTemp(c.work, "")
		return err
	})
	return dir, err
}

// Put moves a file into the cache under key, replacing an older file of the code. The
// last element of path must be wazero's file name. Put then evicts the least recently
// used files, down to the limits; the new file may be among them.
func (c *Cache) Put(key Key, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	sum, err := sumOf(path)
	if err == nil {
		err = os.Chmod(path, 0o400) // a file that is mapped must not change
	}
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	f := newFile()
	f.code, f.sum, f.name, f.diskBytes = key.Code, sum, filepath.Base(path), diskBytes(info)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.removeLocked(key.Code); err != nil {
		return err
	}
	if err := c.withDirs(func() error { return os.Rename(path, c.path(f)) }); err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	c.addLocked(f)
	c.useLocked(key)
	return c.trimLocked()
}

func (c *Cache) path(f *file) string { return filepath.Join(c.dir, codeDir, f.fileName()) }

func (c *Cache) usePath(k Key) string { return filepath.Join(c.dir, usesDir, k.useName()) }

// Stats is a snapshot of a Cache's counters.
type Stats struct {
	Files         int
	Snapshots     int
	Bytes         int64 // disk space
	SnapshotBytes int64 // of it, snapshots
	Hits          int64 // code found by Stage, since Open
	Misses        int64 // code not found by Stage: it has to be compiled
	Evicted       int64 // files removed for the limits, or for a full disk
}

// Stats returns the current counters.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{Files: len(c.files), Snapshots: len(c.snapshots.byID), Bytes: c.bytes, SnapshotBytes: c.snapshots.bytes, Hits: c.hits, Misses: c.misses, Evicted: c.evicted}
}
