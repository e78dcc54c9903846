package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/gofrs/flock"

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
)

// ErrLocked is returned if another server uses the directory.
var ErrLocked = errors.New("data directory is in use by another server")

// Store is a registry.Store in a directory. It is safe for concurrent use.
type Store struct {
	fs   fileSystem    // immutable
	dir  string        // immutable
	lock *flock.Flock  // immutable; nil in tests without real files
	tmps atomic.Uint64 // numbers the files in tmp/

	saveMu    sync.Mutex
	saved     []byte // guarded by saveMu: the current manifest; nil if there is none
	uncertain error  // guarded by saveMu: why nothing can be saved any more

	asideMu sync.Mutex // held while a name in setaside/ is chosen and taken
}

var _ registry.Store = (*Store)(nil)

// Open creates the directory if necessary and locks it; the lock ends with the process. The error matches
// ErrLocked if another process, or another Store of this one, holds the lock.
func Open(dir string) (*Store, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	if err := mkdirAllDurably(absolute); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	lock := flock.New(filepath.Join(absolute, lockName), flock.SetPermissions(fileMode), flock.SetFlag(os.O_CREATE|os.O_RDONLY|regular.Flags))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	if !locked {
		return nil, fmt.Errorf("%w: %s; stop that server or choose another directory", ErrLocked, dir)
	}
	s, err := open(osFileSystem{dir: absolute}, dir)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s.lock = lock
	return s, nil
}

// open creates the subdirectories of a directory that exists and is locked.
func open(fsys fileSystem, dir string) (*Store, error) {
	s := &Store{fs: fsys, dir: dir}
	for _, name := range []string{blobDir, asideDir, tmpDir, cacheDir, queueDir} {
		if err := fsys.MkdirAll(name); err != nil {
			return nil, fmt.Errorf("data directory %s: %w", dir, err)
		}
	}
	return s, nil
}

// Close unlocks the directory for another server. No method may be called afterwards.
func (s *Store) Close() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// CacheDir returns the directory for compiled code. It exists, and its content can be lost.
func (s *Store) CacheDir() string { return filepath.Join(s.dir, cacheDir) }

// QueueDir returns the directory for requests to durable queues. It exists; the store does not touch its
// content.
func (s *Store) QueueDir() string { return filepath.Join(s.dir, queueDir) }

// Save replaces the manifest. See the package comment for the order of the steps.
func (s *Store) Save(_ context.Context, state *registry.State) error {
	s.saveMu.Lock()
	defer s.saveMu.Unlock()
	if s.uncertain != nil {
		return s.uncertain
	}
	data, err := encodeManifest(state)
	if err != nil {
		return err
	}
	if err := s.keepPreviousLocked(); err != nil {
		return err
	}
	tmp, err := s.stage(data)
	if err != nil {
		return err
	}
	if err := s.fs.Rename(tmp, manifestName); err != nil {
		s.unstage(tmp)
		return s.afterFailedRenameLocked(err)
	}
	if err := s.fs.SyncDir("."); err != nil {
		return s.undoLocked(err)
	}
	s.saved = data
	return nil
}

// keepPreviousLocked copies the current manifest to the previous one. It does not rename it, so that there is
// a manifest at all times.
func (s *Store) keepPreviousLocked() error {
	if s.saved == nil {
		return nil
	}
	tmp, err := s.stage(s.saved)
	if err != nil {
		return err
	}
	if err := s.fs.Rename(tmp, previousName); err != nil {
		s.unstage(tmp)
		return err
	}
	return nil
}

// afterFailedRenameLocked checks whether a failed rename has happened nevertheless, which EIO leaves open.
func (s *Store) afterFailedRenameLocked(cause error) error {
	found, err := s.fs.ReadFile(manifestName, maxManifestBytes)
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

// stage writes and fsyncs a file in tmp/. If it fails, a file left behind is removed at the next start.
func (s *Store) stage(data []byte) (name string, err error) {
	name = fmt.Sprintf("%s/%d", tmpDir, s.tmps.Add(1))
	f, err := s.fs.Create(name)
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		s.unstage(name)
		return "", err
	}
	return name, nil
}

// unstage removes a staged file. If that fails, the next start removes it.
func (s *Store) unstage(name string) { _ = s.fs.Remove(name) }
