// Package packages unpacks the code of functions: zip archives with a program. The unpacked files are a cache. Each
// archive has a directory named by its digest, which appears complete or not at all, also after a crash, and can be
// made again from the archive.
//
// Lock order: unpacking before mu. mu is held while directories are deleted, but not while they are written.
package packages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/durable"
)

// newPrefix begins the names of directories that are being written.
const newPrefix = "new-"

// Digest is the SHA-256 of an archive, in lower-case hexadecimal digits.
type Digest string

// DigestOf returns the digest of an archive.
func DigestOf(archive []byte) Digest {
	sum := sha256.Sum256(archive)
	return Digest(hex.EncodeToString(sum[:]))
}

// Valid reports whether d is a digest. Others may not become file names.
func (d Digest) Valid() bool {
	raw, err := hex.DecodeString(string(d))
	return err == nil && len(raw) == sha256.Size && strings.ToLower(string(d)) == string(d)
}

// Cache is a directory of unpacked archives. It is safe for concurrent use.
type Cache struct {
	fs       durable.FS    // immutable
	maxBytes int64         // immutable; of an unpacked archive
	temp     atomic.Uint64 // numbers the directories being written

	unpacking chan struct{} // semaphore: one archive is unpacked at a time

	mu     sync.Mutex
	users  map[Digest]int  // guarded by mu: unreleased calls of Use
	wanted map[Digest]bool // guarded by mu: set by Retain; nil: all
}

// New returns the cache in a directory, which need not exist.
func New(fsys durable.FS) *Cache {
	return &Cache{fs: fsys, maxBytes: maxBytes, unpacking: make(chan struct{}, 1), users: make(map[Digest]int)}
}

// Use unpacks an archive unless it is unpacked already, and keeps its files until release is called. read returns
// the archive, and is called only if it is needed. ctx bounds the wait for other archives.
func (c *Cache) Use(ctx context.Context, d Digest, read func() ([]byte, error)) (release func(), err error) {
	if !d.Valid() {
		return nil, fmt.Errorf("%q is not the digest of an archive", string(d))
	}
	c.mu.Lock()
	c.users[d]++
	c.mu.Unlock()
	release = sync.OnceFunc(func() { c.release(d) })
	if err := c.ensure(ctx, d, read); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// ensure unpacks an archive unless it is unpacked already.
func (c *Cache) ensure(ctx context.Context, d Digest, read func() ([]byte, error)) error {
	select {
	case c.unpacking <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for another archive: %w", context.Cause(ctx))
	}
	defer func() { <-c.unpacking }()
	if c.Has(d) {
		return nil
	}
	archive, err := read()
	if err != nil {
		return err
	}
	if DigestOf(archive) != d {
		return fmt.Errorf("the archive does not have the digest %s", d)
	}
	return c.unpack(d, archive)
}

// Has reports whether an archive is unpacked.
func (c *Cache) Has(d Digest) bool {
	_, err := c.fs.ReadDir(string(d))
	return err == nil
}

// unpack writes the files of an archive into a new directory and renames it.
func (c *Cache) unpack(d Digest, archive []byte) error {
	files, err := Open(archive)
	if err != nil {
		return err
	}
	temp := fmt.Sprintf("%s%d", newPrefix, c.temp.Add(1))
	if err := removeAll(c.fs, temp); err != nil { // of a process that died
		return err
	}
	err = files.extract(c.fs, temp, c.maxBytes)
	if err == nil {
		err = c.fs.Rename(temp, string(d))
	}
	if err != nil {
		return errors.Join(err, removeAll(c.fs, temp))
	}
	return c.fs.SyncDir(".")
}

func (c *Cache) release(d Digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users[d]--; c.users[d] > 0 {
		return
	}
	delete(c.users, d)
	if c.wanted != nil && !c.wanted[d] {
		_ = removeAll(c.fs, string(d)) // after a failure, the next Retain deletes it
	}
}

// Retain deletes the archives that are neither wanted nor in use. An archive that is in use is deleted at its
// release, unless a later Retain wants it.
func (c *Cache) Retain(wanted map[Digest]bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = wanted
	entries, err := c.fs.ReadDir(".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var failed []error
	failed = append(failed, err)
	for _, e := range entries {
		d := Digest(e.Name)
		unfinished := strings.HasPrefix(e.Name, newPrefix) && len(c.unpacking) == 0
		if unfinished || d.Valid() && !wanted[d] && c.users[d] == 0 {
			failed = append(failed, removeAll(c.fs, e.Name))
		}
	}
	return errors.Join(failed...)
}

// removeAll removes a file or a directory with its content. A missing one is not an error. Removed names may
// reappear after a crash, so a directory is first renamed: it must not reappear in part under its own name.
func removeAll(fsys durable.FS, name string) error {
	if Digest(name).Valid() {
		gone := newPrefix + name
		if err := removeAll(fsys, gone); err != nil {
			return err
		}
		switch err := fsys.Rename(name, gone); {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		if err := fsys.SyncDir("."); err != nil {
			return err
		}
		return removeAll(fsys, gone)
	}
	entries, err := fsys.ReadDir(name)
	if err == nil {
		for _, e := range entries {
			inner := name + "/" + e.Name
			if e.Dir {
				err = removeAll(fsys, inner)
			} else {
				err = fsys.Remove(inner)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
