package codecache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vespo-dev/vespo/internal/scarce"
	"github.com/vespo-dev/vespo/runtime/internal/codemap"
)

// Staged is code that wazero can load.
type Staged struct {
	SizeBytes int64 // of wazero's file

	packed *codemap.File // nil if the file is not packed
	path   string
}

// Stage makes the file of key ready for wazero in dir, under wazero's name, and records the use. dir must be in a WorkDir. It
// returns nil if there is no such file, or if its content has changed since Put. Files that cannot be read for lack of a resource, such
// as descriptors, stay. The caller must close the Staged. The file of a packed one appears only by Shell or Whole.
func (c *Cache) Stage(key Key, dir string) (*Staged, error) {
	s, err := c.stageSound(key, dir)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s != nil {
		c.hits++
	} else {
		c.misses++
	}
	return s, err
}

// stageSound is Stage without the counters.
func (c *Cache) stageSound(key Key, dir string) (*Staged, error) {
	staged, sum, head, err := c.stage(key, dir)
	if staged == "" || err != nil {
		return nil, err
	}
	s := &Staged{path: staged}
	packed, err := codemap.Open(staged)
	switch {
	case err == nil:
		s.packed, s.SizeBytes = packed, packed.SizeBytes()
		err = os.Remove(staged)
		if err == nil && checksum(packed.Sum) == sum {
			return s, nil
		}
	case errors.Is(err, codemap.ErrForm):
		var ok bool
		if ok, err = c.soundFile(key, s, sum, head); ok && err == nil {
			return s, nil
		}
	}
	_ = s.Close() // wazero would execute it, or crash
	if scarce.Own(err) {
		return nil, fmt.Errorf("load compiled code: %w", err)
	}
	return nil, c.Drop(key.Code)
}

// soundFile checks a file of wazero.
func (c *Cache) soundFile(key Key, s *Staged, sum checksum, head headSum) (ok bool, err error) {
	now, err := headOf(s.path)
	switch {
	case err != nil:
	case head.known:
		ok = now == head
	default:
		var got checksum
		got, err = sumOf(s.path)
		ok = got == sum
	}
	if ok && err == nil {
		c.noteHead(key.Code, sum, now)
		s.SizeBytes = now.size
	}
	return ok, err
}

// Take makes a file ready for wazero in dir that is not in the cache yet, as Stage does. It stays where it is.
func Take(path, dir string) (*Staged, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load compiled code: %w", err)
	}
	s := &Staged{path: filepath.Join(dir, filepath.Base(path)), SizeBytes: info.Size()}
	packed, err := codemap.Open(path)
	switch {
	case err == nil:
		s.packed, s.SizeBytes = packed, packed.SizeBytes()
	case errors.Is(err, codemap.ErrForm):
		err = link(path, s.path)
	}
	if err != nil {
		return nil, fmt.Errorf("load compiled code: %w", err)
	}
	return s, nil
}

// Packed returns the packed file, or nil.
func (s *Staged) Packed() *codemap.File { return s.packed }

// Shell makes wazero find the file without machine code. The file must be packed.
func (s *Staged) Shell() error { return s.packed.Shell(s.path) }

// Whole makes wazero find the file with its machine code.
func (s *Staged) Whole() error {
	if s.packed == nil {
		return nil
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("load compiled code: %w", err)
	}
	return s.packed.Unpack(s.path)
}

// Close removes what Stage has made. Mappings stay.
func (s *Staged) Close() error {
	err := os.Remove(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if s.packed != nil {
		err = errors.Join(err, s.packed.Close())
	}
	return err
}

// noteHead keeps the checksum of a file that was read whole.
func (c *Cache) noteHead(code Digest, sum checksum, head headSum) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.files[code]; e != nil && e.Value.(*file).sum == sum {
		e.Value.(*file).head = head
	}
}

// stage is Stage without the check of the content. staged is empty if there is no such file.
func (c *Cache) stage(key Key, dir string) (staged string, sum checksum, head headSum, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.files[key.Code]
	if !ok {
		return "", sum, head, nil
	}
	f := e.Value.(*file)
	if err := c.Mend(dir); err != nil { // otherwise the file would seem to be missing
		return "", sum, head, fmt.Errorf("load compiled code: %w", err)
	}
	staged = filepath.Join(dir, f.name)
	switch err := link(c.path(f), staged); {
	case errors.Is(err, fs.ErrNotExist): // the directory was emptied from outside
		return "", sum, head, c.removeLocked(key.Code)
	case err != nil:
		return "", sum, head, fmt.Errorf("load compiled code: %w", err)
	}
	c.useLocked(key)
	return staged, f.sum, f.head, nil
}
