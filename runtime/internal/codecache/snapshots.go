package codecache

import (
	"cmp"
	"container/list"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/internal/scarce"
)

// snapshots is the index of the snapshots.
type snapshots struct {
	byID  map[Digest]*list.Element
	of    map[Digest]*kept // by module; one of its snapshots, if it has several
	order *list.List       // of *kept, least recently used first
	bytes int64            // disk space
}

func newSnapshots() snapshots {
	return snapshots{byID: make(map[Digest]*list.Element), of: make(map[Digest]*kept), order: list.New()}
}

// kept is the file of a snapshot.
type kept struct {
	id, code, module Digest
	sum              checksum // of the content
	diskBytes        int64
	last             time.Time // modification time when the directory was read
}

func (k *kept) fileName() string {
	return hex.EncodeToString(k.id[:]) + "-" + hex.EncodeToString(k.code[:]) + "-" + hex.EncodeToString(k.module[:]) + "-" + hex.EncodeToString(k.sum[:])
}

// parseKept is the inverse of kept.fileName.
func parseKept(name string) (*kept, bool) {
	parts, k := strings.Split(name, "-"), &kept{}
	ok := len(parts) == 4 && decodeInto(k.id[:], parts[0]) && decodeInto(k.code[:], parts[1]) && decodeInto(k.module[:], parts[2]) && decodeInto(k.sum[:], parts[3])
	return k, ok
}

func (c *Cache) snapshotPath(k *kept) string { return filepath.Join(c.dir, snapshotDir, k.fileName()) }

// Keep keeps the snapshot of a module for Snapshot, in place of an older one with its id. Least recently used
// ones make room for it. If the code is not in the cache, or the snapshot is too large, Keep does nothing.
func (c *Cache) Keep(id Digest, key Key, content []byte) error {
	if most := c.options.SnapshotBytes; most > 0 && int64(len(content)) > most {
		return nil
	}
	dir, err := c.WorkDir()
	if err != nil {
		return fmt.Errorf("keep a snapshot: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // Close removes the rest
	written := filepath.Join(dir, snapshotDir)
	if err := os.WriteFile(written, content, 0o600); err != nil {
		return fmt.Errorf("keep a snapshot: %w", err)
	}
	info, err := os.Lstat(written)
	if err != nil {
		return fmt.Errorf("keep a snapshot: %w", err)
	}
	k := &kept{id: id, code: key.Code, module: key.Module, sum: sumOfBytes(content), diskBytes: diskBytes(info)}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.files[key.Code]
	if e == nil || c.used[key.Module] != key.Code {
		return nil
	}
	if err := c.dropSnapshotLocked(id); err != nil {
		return err
	}
	if err := c.withDirs(func() error { return os.Rename(written, c.snapshotPath(k)) }); err != nil {
		return fmt.Errorf("keep a snapshot: %w", err)
	}
	c.addSnapshotLocked(e.Value.(*file), k)
	return errors.Join(c.trimSnapshotsLocked(), c.trimLocked())
}

// Snapshot returns the content of a snapshot. ok is false if there is none, or if its content has changed since Keep.
func (c *Cache) Snapshot(id Digest) (content []byte, ok bool) {
	c.mu.Lock()
	e := c.snapshots.byID[id]
	if e == nil {
		c.mu.Unlock()
		return nil, false
	}
	c.snapshots.order.MoveToBack(e)
	k := *e.Value.(*kept)
	c.mu.Unlock()
	content, err := regular.ReadFile(c.snapshotPath(&k), cmp.Or(c.options.SnapshotBytes, math.MaxInt64-1))
	if scarce.Own(err) {
		return nil, false
	}
	if err != nil || sumOfBytes(content) != k.sum {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.snapshots.byID[id] == e && e.Value.(*kept).sum == k.sum {
			_ = c.removeSnapshotLocked(e.Value.(*kept)) // if it cannot be removed, it is not believed the next time either
		}
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(c.snapshotPath(&k), now, now) // for the order after a restart
	return content, true
}

// SnapshotHead returns the beginning of a snapshot, at most maxBytes of it. Its content is not checked, and it does not count as a use.
func (c *Cache) SnapshotHead(id Digest, maxBytes int) (head []byte, ok bool) {
	c.mu.Lock()
	e := c.snapshots.byID[id]
	c.mu.Unlock()
	if e == nil {
		return nil, false
	}
	return c.headOfSnapshot(e.Value.(*kept), maxBytes)
}

// SnapshotHeadOf is SnapshotHead for any snapshot of a module.
func (c *Cache) SnapshotHeadOf(module Digest, maxBytes int) (head []byte, ok bool) {
	c.mu.Lock()
	k := c.snapshots.of[module]
	c.mu.Unlock()
	if k == nil {
		return nil, false
	}
	return c.headOfSnapshot(k, maxBytes)
}

func (c *Cache) headOfSnapshot(k *kept, maxBytes int) (head []byte, ok bool) {
	f, err := regular.Open(c.snapshotPath(k))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	head = make([]byte, maxBytes)
	n, err := io.ReadFull(f, head)
	return head[:n], err == nil || errors.Is(err, io.ErrUnexpectedEOF)
}

// DropSnapshot removes a snapshot, if there is one.
func (c *Cache) DropSnapshot(id Digest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropSnapshotLocked(id)
}

// RetainSnapshots removes the snapshots for which keep returns false.
func (c *Cache) RetainSnapshots(keep func(id Digest) bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for id := range c.snapshots.byID {
		if !keep(id) {
			errs = append(errs, c.dropSnapshotLocked(id))
		}
	}
	return errors.Join(errs...)
}

func (c *Cache) dropSnapshotLocked(id Digest) error {
	if e := c.snapshots.byID[id]; e != nil {
		return c.removeSnapshotLocked(e.Value.(*kept))
	}
	return nil
}

func (c *Cache) addSnapshotLocked(f *file, k *kept) {
	f.snapshots[k.id] = k
	c.snapshots.byID[k.id] = c.snapshots.order.PushBack(k)
	c.snapshots.of[k.module] = k
	c.snapshots.bytes += k.diskBytes
	f.diskBytes += k.diskBytes
	c.bytes += k.diskBytes
}

func (c *Cache) removeSnapshotLocked(k *kept) error {
	if err := os.Remove(c.snapshotPath(k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a snapshot: %w", err)
	}
	f := c.files[k.code].Value.(*file)
	delete(f.snapshots, k.id)
	c.snapshots.order.Remove(c.snapshots.byID[k.id])
	delete(c.snapshots.byID, k.id)
	if c.snapshots.of[k.module] == k {
		delete(c.snapshots.of, k.module) // another one of the module is not looked for: its modules are read whole
	}
	c.snapshots.bytes -= k.diskBytes
	f.diskBytes -= k.diskBytes
	c.bytes -= k.diskBytes
	return nil
}

// trimSnapshotsLocked removes the least recently used snapshots until the rest is within the limits.
func (c *Cache) trimSnapshotsLocked() error {
	s, o := &c.snapshots, c.options
	for s.order.Len() > 0 && (o.SnapshotBytes > 0 && s.bytes > o.SnapshotBytes || o.Files > 0 && s.order.Len() > o.Files) {
		if err := c.removeSnapshotLocked(s.order.Front().Value.(*kept)); err != nil {
			return err
		}
	}
	return nil
}

// readSnapshotsLocked reads the names of the snapshots of the files, and returns the paths of others.
func (c *Cache) readSnapshotsLocked() (strangers []string, err error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, snapshotDir))
	if err != nil {
		return nil, fmt.Errorf("read the snapshots: %w", err)
	}
	var found []*kept
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed by another process
		}
		k, ok := parseKept(entry.Name())
		if err != nil || !ok || !info.Mode().IsRegular() || c.files[k.code] == nil || c.used[k.module] != k.code {
			strangers = append(strangers, filepath.Join(c.dir, snapshotDir, entry.Name()))
			continue
		}
		k.diskBytes, k.last = diskBytes(info), info.ModTime()
		found = append(found, k)
	}
	slices.SortStableFunc(found, func(a, b *kept) int { return a.last.Compare(b.last) })
	for _, k := range found {
		if err := c.dropSnapshotLocked(k.id); err != nil { // an older one of the id, left by a crash
			return nil, err
		}
		c.addSnapshotLocked(c.files[k.code].Value.(*file), k)
	}
	return strangers, nil
}
