package peer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/registry"
)

// Bounds of the beginnings of blobs on disk.
const (
	leastPartial    = 1 << 20 // bytes of a blob; smaller ones are fetched again instead
	maxPartialFiles = 64
	maxPartialBytes = 256 << 20 // of all files
)

// Partials keeps the beginnings of large blobs in a directory, so that a transfer goes on where it was after a restart,
// too. The oldest ones make room for others. Its files are not believed: a blob counts when all of it has its digest. It is safe for
// concurrent use, by one process.
type Partials struct {
	dir      string // immutable
	maxFiles int    // immutable
	maxBytes int64  // immutable

	mu    sync.Mutex
	files map[registry.Digest]*beginning // guarded by mu
	bytes int64                          // guarded by mu: of all files
	uses  uint64                         // guarded by mu
}

// beginning is a file, guarded by Partials.mu.
type beginning struct {
	bytes int64
	open  bool   // a transfer writes to it: it is not removed
	used  uint64 // order of the ends of use
}

// OpenPartials creates the directory if necessary, and removes the oldest files beyond its bounds.
func OpenPartials(dir string) (*Partials, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("beginnings of blobs: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("beginnings of blobs: %w", err)
	}
	var files []fs.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	p := &Partials{dir: dir, maxFiles: maxPartialFiles, maxBytes: maxPartialBytes, files: make(map[registry.Digest]*beginning), uses: uint64(len(files))}
	for i, info := range files {
		d, err := registry.ParseDigest("sha256:" + info.Name())
		if err == nil && len(p.files) < p.maxFiles && p.bytes+info.Size() <= p.maxBytes {
			p.files[d] = &beginning{bytes: info.Size(), used: uint64(len(files) - i)}
			p.bytes += info.Size()
			continue
		}
		if err := os.Remove(filepath.Join(dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("beginnings of blobs: %w", err)
		}
	}
	return p, nil
}

// reserve counts bytes of an open file before they are written, and removes the oldest files that are not open where the bounds
// need that. Without room it reports false, and the file is not counted any more.
func (p *Partials) reserve(d registry.Digest, bytes int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.files[d]
	if b == nil {
		b = &beginning{}
		p.files[d] = b
	}
	b.open, b.bytes, p.bytes = true, b.bytes+bytes, p.bytes+bytes
	for len(p.files) > p.maxFiles || p.bytes > p.maxBytes {
		if !p.evictLocked() {
			p.forgetLocked(d)
			return false
		}
	}
	return true
}

// evictLocked removes the oldest file that is not open, if there is one.
func (p *Partials) evictLocked() bool {
	var oldest registry.Digest
	for d, b := range p.files {
		if !b.open && (oldest == "" || b.used < p.files[oldest].used) {
			oldest = d
		}
	}
	if oldest == "" {
		return false
	}
	_ = os.Remove(p.path(oldest)) // if it cannot be removed, a later start does
	p.forgetLocked(oldest)
	return true
}

// rest lets a file be removed, which is not open any more.
func (p *Partials) rest(d registry.Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.files[d]; b != nil {
		p.uses++
		b.open, b.used = false, p.uses
	}
}

// forget follows the removal of a file.
func (p *Partials) forget(d registry.Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked(d)
}

func (p *Partials) forgetLocked(d registry.Digest) {
	if b := p.files[d]; b != nil {
		p.bytes -= b.bytes
		delete(p.files, d)
	}
}

func (p *Partials) path(d registry.Digest) string { return filepath.Join(p.dir, d.Hex()) }

// read returns the beginning of a blob; empty if there is none.
func (p *Partials) read(d registry.Digest, most int64) []byte {
	if p == nil {
		return nil
	}
	begin, err := regular.ReadFile(p.path(d), most)
	if err != nil {
		return nil
	}
	return begin
}

// partial is the file of a transfer. It is confined to one goroutine. After a failed write, as on a full disk, or if the other
// transfers take all the room, there is no file: the transfer goes on in memory.
type partial struct {
	in     *Partials // nil: beginnings are not kept
	digest registry.Digest
	file   *os.File // nil: not open
	exists bool
	off    bool // a write has failed
}

// extend appends received bytes to the file. have is the blob so far, with chunk at its end.
func (p *partial) extend(have, chunk []byte) {
	if p.in == nil || p.off || len(have) < leastPartial {
		return
	}
	fresh := p.file == nil
	if fresh {
		p.drop() // of an earlier transfer
		chunk = have
	}
	if !p.in.reserve(p.digest, int64(len(chunk))) {
		p.drop()
		p.off = true
		return
	}
	if fresh {
		file, err := regular.OpenFile(p.in.path(p.digest), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			p.in.forget(p.digest)
			p.off = true
			return
		}
		p.file, p.exists = file, true
	}
	if _, err := p.file.Write(chunk); err != nil {
		p.drop()
		p.off = true
	}
}

// pause closes the file and keeps it.
func (p *partial) pause() {
	if p.file != nil {
		_ = p.file.Close() // missing bytes are fetched again
		p.file = nil
		p.in.rest(p.digest)
	}
}

// drop removes the file.
func (p *partial) drop() {
	p.pause()
	if p.exists {
		_ = os.Remove(p.in.path(p.digest)) // if it cannot be removed, a later transfer or start does
		p.in.forget(p.digest)
		p.exists = false
	}
}
