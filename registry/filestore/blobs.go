package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/vespo-dev/vespo/registry"
)

func blobName(d registry.Digest) string { return blobDir + "/" + d.Hex() }

// PutBlob stores a blob under its digest. A stored blob that does not match its digest is set aside and
// replaced.
func (s *Store) PutBlob(ctx context.Context, d registry.Digest, blob []byte) error {
	if registry.DigestOf(blob) != d {
		return fmt.Errorf("%w: the content does not have the digest %s", registry.ErrBlobCorrupt, d)
	}
	switch _, err := s.Blob(ctx, d); {
	case err == nil:
		// The name may not be durable yet, if the process that stored it was killed or failed before the
		// fsync.
		return s.fs.SyncDir(blobDir)
	case errors.Is(err, registry.ErrBlobCorrupt):
		if _, err := s.setAside(blobDir, d.Hex()); err != nil {
			return err
		}
	case !errors.Is(err, registry.ErrBlobMissing):
		return err
	}
	tmp, err := s.stage(blob)
	if err != nil {
		return err
	}
	if err := s.fs.Rename(tmp, blobName(d)); err != nil {
		s.unstage(tmp)
		return err
	}
	return s.fs.SyncDir(blobDir)
}

// Blob reads a blob and checks it against its digest. A corrupt one stays in place.
func (s *Store) Blob(_ context.Context, d registry.Digest) ([]byte, error) {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return nil, err // d becomes a file name
	}
	blob, err := s.fs.ReadFile(blobName(d), math.MaxInt64)
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

// Blobs lists the digests of stored blobs without reading them.
func (s *Store) Blobs(context.Context) ([]registry.Digest, error) {
	entries, err := s.fs.ReadDir(blobDir)
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

// DeleteBlob deletes a blob. It does not fsync: a blob that reappears after a crash is an orphan again.
func (s *Store) DeleteBlob(_ context.Context, d registry.Digest) error {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return err
	}
	if err := s.fs.Remove(blobName(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func digestOfEntry(e entry) (registry.Digest, bool) {
	d, err := registry.ParseDigest("sha256:" + e.name)
	return d, err == nil && e.regular
}
