package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"github.com/gofrs/flock"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/registry"
)

// Names in the directory.
const (
	lockName     = "lock"
	manifestName = "manifest.json"
	previousName = "manifest.json.prev"
	blobDir      = "blobs/sha256"
	asideDir     = "setaside"
	tmpDir       = "tmp"
	cacheDir     = "cache"
	queueDir     = "queue"
	kvDir        = "kv"        // created with the first store
	schedulesDir = "schedules" // created by its user
	tokensDir    = "tokens"    // created by its user
	usageDir     = "usage"     // created by its user
	auditDir     = "audit"     // created by its user
	followDir    = "follow"    // created by its user
	partialDir   = "partial"   // created by its user
	hostDir      = "host"      // created by its user
)

// ErrLocked is returned if another server uses the directory.
var ErrLocked = errors.New("data directory is in use by another server")

// Store is a registry.Store in a directory. It is safe for concurrent use.
type Store struct {
	fs    durable.FS     // immutable
	files *durable.Files // immutable
	dir   string         // immutable
	lock  *flock.Flock   // immutable; nil in tests without real files

	maxBytes int64 // immutable; of a manifest

	saveMu    sync.Mutex
	current   *registry.State // guarded by saveMu: what the manifest holds; nil before Load
	saved     []byte          // guarded by saveMu: the current manifest; nil if there is none
	encoder   encoder         // guarded by saveMu
	uncertain error           // guarded by saveMu: why nothing can be saved any more

	feed registry.Feed
}

var _ registry.Store = (*Store)(nil)

// Open creates the directory if necessary and locks it; the lock ends with the process. The error matches
// ErrLocked if another process, or another Store of this one, holds the lock.
func Open(dir string) (*Store, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	if err := durable.MkdirAll(absolute); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	flags := os.O_CREATE | os.O_RDONLY | regular.Flags
	lock := flock.New(filepath.Join(absolute, lockName), flock.SetPermissions(durable.FileMode), flock.SetFlag(flags))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	if !locked {
		return nil, fmt.Errorf("%w: %s; stop that server or choose another directory", ErrLocked, dir)
	}
	s, err := OpenFS(durable.Dir(absolute), dir)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.lock = lock
	return s, nil
}

// OpenFS opens a directory that exists and that only the caller uses. dir is its name in errors and in CacheDir.
func OpenFS(fsys durable.FS, dir string) (*Store, error) {
	s := &Store{
		fs:    fsys,
		files: durable.NewFiles(fsys, tmpDir, asideDir),
		dir:   dir,

		maxBytes: maxManifestBytes,
	}
	for _, name := range []string{blobDir, asideDir, tmpDir, cacheDir, queueDir} {
		if err := fsys.MkdirAll(name); err != nil {
			return nil, fmt.Errorf("data directory %s: %w", dir, err)
		}
	}
	return s, nil
}

// RemoveEmpty removes the directory if nothing was stored in it. Close must follow.
func (s *Store) RemoveEmpty() error {
	made := []string{blobDir, path.Dir(blobDir), asideDir, tmpDir, cacheDir, queueDir}
	entries, err := s.fs.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name != lockName && !slices.Contains(made, e.Name) {
			return nil
		}
	}
	for _, name := range made {
		if err := s.fs.Remove(name); err != nil {
			return nil // it has content
		}
	}
	if err := s.fs.Remove(lockName); err != nil {
		return err
	}
	return s.fs.Remove(".")
}

// Close unlocks the directory for another server. No method may be called afterwards.
func (s *Store) Close() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// blob reads a blob for the decoder of manifests.
func (s *Store) blob(d registry.Digest) ([]byte, error) {
	return s.Blobs().Get(context.Background(), d)
}

// Blobs returns the blobs in the directory. They can be used while the store is open.
func (s *Store) Blobs() *Blobs { return &Blobs{fs: s.fs, files: s.files} }

// CacheDir returns the directory for compiled code. It exists, and its content can be lost.
func (s *Store) CacheDir() string { return filepath.Join(s.dir, cacheDir) }

// QueueDir returns the directory for requests to durable queues. It exists; the store does not touch its
// content.
func (s *Store) QueueDir() string { return filepath.Join(s.dir, queueDir) }

// KVDir returns the directory for key-value stores. It need not exist; the store does not touch its content.
func (s *Store) KVDir() string { return filepath.Join(s.dir, kvDir) }

// SchedulesDir returns the directory for what schedules have run. It need not exist; the store does not touch its content.
func (s *Store) SchedulesDir() string { return filepath.Join(s.dir, schedulesDir) }

// TokensDir returns the directory for the tokens of the management API. It need not exist; the store does not touch its
// content.
func (s *Store) TokensDir() string { return filepath.Join(s.dir, tokensDir) }

// UsageDir returns the directory for the sums of what services cost. It need not exist; the store does not touch its content.
func (s *Store) UsageDir() string { return filepath.Join(s.dir, usageDir) }

// AuditDir returns the directory for the audit log. It need not exist; the store does not touch its content.
func (s *Store) AuditDir() string { return filepath.Join(s.dir, auditDir) }

// PartialDir returns the directory for beginnings of blobs that are being fetched. It need not exist, and its content can be
// lost.
func (s *Store) PartialDir() string { return filepath.Join(s.dir, partialDir) }

// FollowDir returns the directory for the primary that the catalogue is a copy of. It need not exist; the store does not
// touch its content.
func (s *Store) FollowDir() string { return filepath.Join(s.dir, followDir) }

// HostDir returns the directory for what a host of a common catalogue knows about itself. It need not exist; the store does
// not touch its content.
func (s *Store) HostDir() string { return filepath.Join(s.dir, hostDir) }

// Watch returns the current state, and then each that is committed: nothing else changes the directory.
func (s *Store) Watch(ctx context.Context) iter.Seq[*registry.State] { return s.feed.Watch(ctx) }

// Commit replaces the manifest. See the package comment for the order of the steps.
func (s *Store) Commit(ctx context.Context, base, next *registry.State) error {
	s.saveMu.Lock()
	defer s.saveMu.Unlock()
	switch {
	case s.uncertain != nil:
		return s.uncertain
	case s.current == nil || s.current != base || next.Generation <= base.Generation:
		return registry.ErrStale
	}
	data, err := s.encodeLocked(next)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.saveLocked(data); err != nil {
		return err
	}
	s.current, s.saved = next, data
	s.feed.Publish(next)
	return nil
}

// encodeLocked returns the manifest of a state, which can be read back.
func (s *Store) encodeLocked(state *registry.State) ([]byte, error) {
	if err := state.Check(); err != nil {
		return nil, err
	}
	data, err := s.encoder.manifest(state)
	if err == nil && int64(len(data)) > s.maxBytes {
		err = fmt.Errorf("%w: its manifest has %d bytes, at most %d can be read", registry.ErrInvalidState, len(data), s.maxBytes)
	}
	return data, err
}

// saveLocked writes a manifest in place of the current one.
func (s *Store) saveLocked(data []byte) error {
	if s.saved != nil { // a copy, not a rename: there is a manifest at all times
		if err := s.files.Place(previousName, s.saved); err != nil {
			return err
		}
	}
	tmp, err := s.files.Stage(data)
	if err != nil {
		return err
	}
	if err := s.fs.Rename(tmp, manifestName); err != nil {
		s.files.Unstage(tmp)
		return s.afterFailedRenameLocked(err)
	}
	if err := s.fs.SyncDir("."); err != nil {
		return s.undoLocked(err)
	}
	return nil
}

// afterFailedRenameLocked checks whether a failed rename has happened nevertheless, which EIO leaves open.
func (s *Store) afterFailedRenameLocked(cause error) error {
	found, err := s.fs.ReadFile(manifestName, s.maxBytes)
	switch {
	case err == nil && s.saved != nil && string(found) == string(s.saved):
		return cause
	case s.saved == nil && errors.Is(err, fs.ErrNotExist):
		return cause
	}
	return s.undoLocked(cause)
}

// undoLocked restores the saved manifest after cause and makes that durable. If this fails, the store becomes
// uncertain.
func (s *Store) undoLocked(cause error) error {
	var err error
	if s.saved != nil {
		err = s.fs.Rename(previousName, manifestName) // needs no space, unlike a new copy
	} else if err = s.fs.Remove(manifestName); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = s.fs.SyncDir(".")
	}
	if err == nil {
		return cause
	}
	s.uncertain = fmt.Errorf("%w: manifest in %s: %w; undoing that: %w", registry.ErrUncertain, s.dir, cause, err)
	return s.uncertain
}
