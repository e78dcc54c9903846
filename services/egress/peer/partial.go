package peer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/registry"
)

// Bounds of the beginnings of blobs on disk.
const (
	leastPartial    = 1 << 20   // bytes of a blob; smaller ones are fetched again instead
	maxPartialFiles = 64        // that a start keeps
	maxPartialBytes = 256 << 20 // that a start keeps
)

// Partials keeps the beginnings of large blobs in a directory, so that a transfer goes on where it was after a restart,
// too. Its files are not believed: a blob counts when all of it has its digest. It is safe for concurrent use, by one
// process.
type Partials struct {
	dir string // immutable
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
	var total, kept int64
	for _, info := range files {
		_, err := registry.ParseDigest("sha256:" + info.Name())
		if err == nil && kept < maxPartialFiles && total+info.Size() <= maxPartialBytes {
			kept, total = kept+1, total+info.Size()
			continue
		}
		if err := os.Remove(filepath.Join(dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("beginnings of blobs: %w", err)
		}
	}
	return &Partials{dir: dir}, nil
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

// partial is the file of a transfer. It is confined to one goroutine. After a failed write, as on a full disk, there is no
// file: the transfer goes on in memory.
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
	if p.file == nil {
		file, err := regular.OpenFile(p.in.path(p.digest), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			p.off = true
			return
		}
		p.file, p.exists, chunk = file, true, have
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
	}
}

// drop removes the file.
func (p *partial) drop() {
	p.pause()
	if p.exists {
		_ = os.Remove(p.in.path(p.digest)) // if it cannot be removed, a later transfer or start does
		p.exists = false
	}
}
