package codecache

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/internal/scarce"
)

// MaxDescriptionBytes limits a description.
const MaxDescriptionBytes = 4 << 20

// about is the description of a code.
type about struct {
	id        Digest
	sum       checksum // of the content
	diskBytes int64
}

func (a *about) fileName(code Digest) string {
	return hex.EncodeToString(a.id[:]) + "-" + hex.EncodeToString(code[:]) + "-" + hex.EncodeToString(a.sum[:])
}

// parseAbout is the inverse of about.fileName.
func parseAbout(name string) (a *about, code Digest, ok bool) {
	parts := strings.Split(name, "-")
	a = &about{}
	if len(parts) != 3 || !decodeInto(a.id[:], parts[0]) || !decodeInto(code[:], parts[1]) || !decodeInto(a.sum[:], parts[2]) {
		return nil, code, false
	}
	return a, code, true
}

func (c *Cache) aboutPath(a *about, code Digest) string {
	return filepath.Join(c.dir, aboutDir, a.fileName(code))
}

// Describe keeps a description with code, in place of an older one, for Description. Its space counts as that of the code.
// If the code is not in the cache, Describe does nothing.
func (c *Cache) Describe(id, code Digest, text []byte) error {
	if len(text) > MaxDescriptionBytes {
		return fmt.Errorf("describe compiled code: a description of %d bytes, at most %d are kept", len(text), MaxDescriptionBytes)
	}
	dir, err := c.WorkDir()
	if err != nil {
		return fmt.Errorf("describe compiled code: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // Close removes the rest
	written := filepath.Join(dir, aboutDir)
	if err := os.WriteFile(written, text, 0o600); err != nil {
		return fmt.Errorf("describe compiled code: %w", err)
	}
	info, err := os.Lstat(written)
	if err != nil {
		return fmt.Errorf("describe compiled code: %w", err)
	}
	a := &about{id: id, sum: sumOfBytes(text), diskBytes: diskBytes(info)}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.files[code]
	if e == nil {
		return nil
	}
	if other, ok := c.about[id]; ok {
		if err := c.undescribeLocked(c.files[other].Value.(*file)); err != nil {
			return err
		}
	}
	f := e.Value.(*file)
	if err := c.undescribeLocked(f); err != nil {
		return err
	}
	if err := c.withDirs(func() error { return os.Rename(written, c.aboutPath(a, code)) }); err != nil {
		return fmt.Errorf("describe compiled code: %w", err)
	}
	c.describeLocked(f, a)
	return c.trimLocked()
}

func (c *Cache) describeLocked(f *file, a *about) {
	f.about, c.about[a.id] = a, f.code
	f.diskBytes += a.diskBytes
	c.bytes += a.diskBytes
}

// undescribeLocked removes the description of a code, if there is one.
func (c *Cache) undescribeLocked(f *file) error {
	a := f.about
	if a == nil {
		return nil
	}
	if err := os.Remove(c.aboutPath(a, f.code)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the description of compiled code: %w", err)
	}
	f.about = nil
	delete(c.about, a.id)
	f.diskBytes -= a.diskBytes
	c.bytes -= a.diskBytes
	return nil
}

// Description returns the description that is found by id, and its code. ok is false if there is none, or if its content
// has changed since Describe. It does not count as a use.
func (c *Cache) Description(id Digest) (text []byte, code Digest, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	code, ok = c.about[id]
	if !ok {
		return nil, code, false
	}
	f := c.files[code].Value.(*file)
	text, err := regular.ReadFile(c.aboutPath(f.about, code), MaxDescriptionBytes)
	if scarce.Own(err) {
		return nil, code, false
	}
	if err != nil || sumOfBytes(text) != f.about.sum {
		_ = c.undescribeLocked(f) // if it cannot be removed, it is not believed the next time either
		return nil, code, false
	}
	return text, code, true
}

// readAboutLocked reads the names of the descriptions of the files, and returns the paths of others.
func (c *Cache) readAboutLocked() (strangers []string, err error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, aboutDir))
	if err != nil {
		return nil, fmt.Errorf("read the compiled code: %w", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed by another process
		}
		a, code, ok := parseAbout(entry.Name())
		e := c.files[code]
		if err != nil || !ok || e == nil || !info.Mode().IsRegular() || e.Value.(*file).about != nil || c.knows(a.id) {
			strangers = append(strangers, filepath.Join(c.dir, aboutDir, entry.Name()))
			continue
		}
		a.diskBytes = diskBytes(info)
		c.describeLocked(e.Value.(*file), a)
	}
	return strangers, nil
}

func (c *Cache) knows(id Digest) bool {
	_, ok := c.about[id]
	return ok
}

func sumOfBytes(p []byte) (sum checksum) {
	h := crc32.New(castagnoli())
	_, _ = h.Write(p)
	h.Sum(sum[:0])
	return sum
}
