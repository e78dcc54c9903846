package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/registry"
)

// Blobs is a registry.BlobStore: the blobs in the directory of a Store. It is safe for concurrent use.
type Blobs struct {
	fs    durable.FS     // immutable
	files *durable.Files // immutable
}

var _ registry.BlobStore = (*Blobs)(nil)

func blobName(d registry.Digest) string { return blobDir + "/" + d.Hex() }

// Put stores a blob under its digest. A stored blob that does not match its digest is set aside and
// replaced.
func (b *Blobs) Put(ctx context.Context, d registry.Digest, blob []byte) error {
	if registry.DigestOf(blob) != d {
		return fmt.Errorf("%w: the content does not have the digest %s", registry.ErrBlobCorrupt, d)
	}
	switch _, err := b.Get(ctx, d); {
	case err == nil:
		// The name may not be durable yet, if the process that stored it was killed or failed before the
		// fsync.
		return b.fs.SyncDir(blobDir)
	case errors.Is(err, registry.ErrBlobCorrupt):
		if _, err := b.files.SetAside(blobDir, d.Hex()); err != nil {
			return err
		}
	case !errors.Is(err, registry.ErrBlobMissing):
		return err
	}
	err := b.files.Write(blobName(d), blob)
	if errors.Is(err, fs.ErrNotExist) && b.mend() == nil {
		err = b.files.Write(blobName(d), blob)
	}
	return err
}

// mend makes the directory of the blobs anew, so that services whose modules were removed with it can be deployed again. It does
// not make that of the store, which may be on a disk that is not mounted any more.
func (b *Blobs) mend() error {
	if _, err := b.fs.ReadDir("."); err != nil {
		return err
	}
	return b.fs.MkdirAll(blobDir)
}

// Get reads a blob and checks it against its digest. A corrupt one stays in place.
func (b *Blobs) Get(_ context.Context, d registry.Digest) ([]byte, error) {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return nil, err // d becomes a file name
	}
	blob, err := b.fs.ReadFile(blobName(d), math.MaxInt64)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", registry.ErrBlobMissing, d)
	}
	if err != nil {
		return nil, err
	}
	if found := registry.DigestOf(blob); found != d {
		return nil, fmt.Errorf("%w: %s has the content of %s", registry.ErrBlobCorrupt, d, found)
	}
	return blob, nil
}

// Open opens a blob without checking its digest.
func (b *Blobs) Open(_ context.Context, d registry.Digest) (io.ReadSeekCloser, error) {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	file, err := b.fs.Open(blobName(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", registry.ErrBlobMissing, d)
	}
	return file, err
}

// List returns the digests of stored blobs without reading them.
func (b *Blobs) List(context.Context) ([]registry.Digest, error) {
	entries, err := b.fs.ReadDir(blobDir)
	if err != nil {
		return nil, err
	}
	var digests []registry.Digest
	for _, e := range entries {
		if d, ok := digestOfEntry(e); ok {
			digests = append(digests, d)
		}
	}
	return digests, nil
}

// Delete deletes a blob. It does not fsync: a blob that reappears after a crash is an orphan again.
func (b *Blobs) Delete(_ context.Context, d registry.Digest) error {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return err
	}
	if err := b.fs.Remove(blobName(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func digestOfEntry(e durable.Entry) (registry.Digest, bool) {
	d, err := registry.ParseDigest("sha256:" + e.Name)
	return d, err == nil && e.Regular
}
