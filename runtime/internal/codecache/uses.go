package codecache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/vespo-dev/vespo/internal/regular"
)

// Use records that a module uses code which is loaded already. If the code is not in the cache, Use does nothing.
func (c *Cache) Use(key Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files[key.Code] != nil {
		c.useLocked(key)
	}
}

// useLocked makes the file the most recently used one, and key.Module one of its users. Only the next start reads the
// disk, for the order of eviction and for Retain. So errors are ignored.
func (c *Cache) useLocked(key Key) {
	e := c.files[key.Code]
	f := e.Value.(*file)
	c.order.MoveToBack(e)
	now := time.Now()
	_ = os.Chtimes(c.path(f), now, now)
	if c.used[key.Module] == key.Code {
		if _, err := os.Lstat(c.usePath(key)); !errors.Is(err, fs.ErrNotExist) {
			return
		}
	} else {
		_ = c.forgetLocked(key.Module) // an older variant: if it cannot be removed, the next Open finds it again
	}
	c.used[key.Module] = key.Code
	f.users[key.Module] = struct{}{}
	_ = c.withDirs(func() error {
		use, err := regular.OpenFile(c.usePath(key), os.O_WRONLY|os.O_CREATE, 0o600)
		if err == nil {
			_ = use.Close()
		}
		return err
	})
}

// Has reports whether code is in the cache.
func (c *Cache) Has(code Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.files[code] != nil
}

// Forget removes the use of a module, if there is one, and the code if that was the last use.
func (c *Cache) Forget(module Digest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forgetLocked(module)
}

func (c *Cache) forgetLocked(module Digest) error {
	code, ok := c.used[module]
	if !ok {
		return nil
	}
	f := c.files[code].Value.(*file)
	if len(f.users) == 1 {
		return c.removeLocked(code)
	}
	return c.unuseLocked(f, module)
}

func (c *Cache) unuseLocked(f *file, module Digest) error {
	if err := os.Remove(c.usePath(Key{Module: module, Code: f.code})); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the use of compiled code: %w", err)
	}
	delete(f.users, module)
	delete(c.used, module)
	var errs []error
	for _, k := range f.snapshots {
		if k.module == module {
			errs = append(errs, c.removeSnapshotLocked(k))
		}
	}
	return errors.Join(errs...)
}

// Drop removes code with all its uses, if it is in the cache.
func (c *Cache) Drop(code Digest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.removeLocked(code)
}

// Retain removes the uses of all modules for which keep returns false, and the code without any use.
func (c *Cache) Retain(keep func(module Digest) bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for module := range c.used {
		if !keep(module) {
			errs = append(errs, c.forgetLocked(module))
		}
	}
	for code, e := range c.files {
		if len(e.Value.(*file).users) == 0 {
			errs = append(errs, c.removeLocked(code))
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
		if err := c.removeLocked(c.order.Front().Value.(*file).code); err != nil {
			return err
		}
		c.evicted++
	}
	return nil
}

func (c *Cache) addLocked(f *file) {
	if _, ok := c.files[f.code]; ok {
		_ = c.removeLocked(f.code) // left by a crash: if it cannot be removed, the next Open finds it again
	}
	c.files[f.code] = c.order.PushBack(f)
	c.bytes += f.diskBytes
}

// removeLocked removes code with all its uses.
func (c *Cache) removeLocked(code Digest) error {
	e, ok := c.files[code]
	if !ok {
		return nil
	}
	f := e.Value.(*file)
	if err := os.Remove(c.path(f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove compiled code: %w", err)
	}
	var errs []error
	for module := range f.users {
		errs = append(errs, c.unuseLocked(f, module))
		delete(c.used, module) // Open removes uses of code that is not there
	}
	for _, k := range f.snapshots { // left if a use could not be removed
		errs = append(errs, c.removeSnapshotLocked(k))
	}
	errs = append(errs, c.undescribeLocked(f))
	c.order.Remove(e)
	delete(c.files, code)
	c.bytes -= f.diskBytes
	return errors.Join(errs...)
}

// trimLocked removes the least recently used files until the rest is within the limits.
func (c *Cache) trimLocked() error {
	for c.order.Len() > 0 && (c.options.Bytes > 0 && c.bytes > c.options.Bytes || c.options.Files > 0 && c.order.Len() > c.options.Files) {
		if err := c.removeLocked(c.order.Front().Value.(*file).code); err != nil {
			return err
		}
		c.evicted++
	}
	return nil
}
