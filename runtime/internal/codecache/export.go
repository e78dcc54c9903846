package codecache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/internal/regular"
)

// Exported is the code of a module, for another cache. Its file is that of OpenCode.
type Exported struct {
	Code      Digest
	Name      string // wazero's file name
	SizeBytes int64
	Sum       Digest // of the file
	AboutID   Digest // by which the description is found
	About     []byte
	Snapshot  Digest // id of a snapshot of the module; zero if there is none
}

// maxName bounds wazero's file name, which another host sends.
const maxName = 128

// CheckName returns an error unless a name from elsewhere can be that of a file of wazero.
func CheckName(name string) error {
	if _, err := hex.DecodeString(name); err != nil || name == "" || len(name) > maxName || strings.ToLower(name) != name {
		return fmt.Errorf("%.40q is not the name of a file of compiled code", name)
	}
	return nil
}

// Export returns the code of a module. ok is false if there is none, if it has no description, or if its file has changed
// since Put.
func (c *Cache) Export(module Digest) (e Exported, ok bool, err error) {
	c.mu.Lock()
	code, ok := c.used[module]
	if !ok || c.files[code].Value.(*file).about == nil {
		c.mu.Unlock()
		return e, false, nil
	}
	f := c.files[code].Value.(*file)
	e = Exported{Code: code, Name: f.name, AboutID: f.about.id}
	if k := c.snapshots.of[module]; k != nil {
		e.Snapshot = k.id
	}
	whole, path, sum := f.whole, c.path(f), f.sum
	c.mu.Unlock()
	if e.About, _, ok = c.Description(e.AboutID); !ok {
		return e, false, nil
	}
	if whole == nil {
		var sound bool
		if whole, sound, err = wholeOf(path, sum); err != nil || !sound {
			return e, false, err
		}
		c.noteWhole(code, sum, whole)
	}
	e.SizeBytes, e.Sum = whole.size, whole.sum
	return e, true, nil
}

// wholeSum is the SHA-256 sum of a file that was read whole.
type wholeSum struct {
	sum  Digest
	size int64
}

// wholeOf returns the sum of a file. sound is false if its checksum is another one.
func wholeOf(path string, want checksum) (w *wholeSum, sound bool, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, false, fmt.Errorf("read compiled code: %w", err)
	}
	defer f.Close()
	whole, crc := sha256.New(), crc32.New(castagnoli())
	size, err := io.Copy(io.MultiWriter(whole, crc), f)
	if err != nil {
		return nil, false, fmt.Errorf("read compiled code: %w", err)
	}
	w = &wholeSum{size: size}
	whole.Sum(w.sum[:0])
	var got checksum
	crc.Sum(got[:0])
	return w, got == want, nil
}

// noteWhole keeps the sum of a file, unless another one has taken its place.
func (c *Cache) noteWhole(code Digest, sum checksum, whole *wholeSum) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.files[code]; e != nil && e.Value.(*file).sum == sum {
		e.Value.(*file).whole = whole
	}
}

// OpenCode opens the file of a code, for another cache. The error matches fs.ErrNotExist if it is not there.
func (c *Cache) OpenCode(code Digest) (*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.files[code]
	if e == nil {
		return nil, os.ErrNotExist
	}
	return regular.Open(c.path(e.Value.(*file)))
}

// Import puts the code of another cache into this one, for a module. fetch writes the file, unless the code is here already. A file with
// other content than e says is refused, and nothing of it stays.
func (c *Cache) Import(module Digest, e *Exported, fetch func(to io.Writer) error) error {
	if err := CheckName(e.Name); err != nil {
		return err
	}
	if len(e.About) > MaxDescriptionBytes {
		return fmt.Errorf("a description of %d bytes, at most %d are kept", len(e.About), MaxDescriptionBytes)
	}
	if !c.Has(e.Code) {
		if err := c.importFile(module, e, fetch); err != nil {
			return err
		}
	}
	c.Use(Key{Module: module, Code: e.Code})
	return c.Describe(e.AboutID, e.Code, e.About)
}

// ErrOtherContent is returned by Import for a file that is not the one that was named.
var ErrOtherContent = errors.New("the compiled code has other content than was said")

func (c *Cache) importFile(module Digest, e *Exported, fetch func(to io.Writer) error) error {
	dir, err := c.WorkDir()
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // Close removes the rest
	path := filepath.Join(dir, e.Name)
	f, err := regular.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	sum := sha256.New()
	to := &bounded{to: io.MultiWriter(f, sum), left: e.SizeBytes}
	err = fetch(to)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if to.left != 0 || Digest(sum.Sum(nil)) != e.Sum {
		return ErrOtherContent
	}
	return c.Put(Key{Module: module, Code: e.Code}, path)
}

// bounded is a writer of at most so many bytes.
type bounded struct {
	to   io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, ErrOtherContent
	}
	b.left -= int64(len(p))
	return b.to.Write(p)
}

// HasSnapshot reports whether a snapshot is in the cache.
func (c *Cache) HasSnapshot(id Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshots.byID[id] != nil
}

// HasModule reports whether the cache has the code of a module with its description.
func (c *Cache) HasModule(module Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	code, ok := c.used[module]
	return ok && c.files[code].Value.(*file).about != nil
}

// MaxSnapshotBytes returns the size of the largest snapshot that is kept.
func (c *Cache) MaxSnapshotBytes() int64 {
	if c.options.SnapshotBytes > 0 {
		return c.options.SnapshotBytes
	}
	return math.MaxInt64
}
