package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// Load reads the manifest, or the previous one if the manifest is unreadable, and tidies the directory. A
// manifest of a newer format and an I/O error are returned as errors: setting the manifest aside would lose
// its content.
func (s *Store) Load(context.Context) (registry.Loaded, error) {
	s.saveMu.Lock()
	defer s.saveMu.Unlock()
	var l loading
	// Read the manifest first: a directory of a newer version must not be tidied by the rules of this one.
	if err := s.loadManifestLocked(&l); err != nil {
		return registry.Loaded{}, fmt.Errorf("data directory %s: %w", s.dir, err)
	}
	if err := s.tidy(&l); err != nil {
		return registry.Loaded{}, fmt.Errorf("data directory %s: %w", s.dir, err)
	}
	if l.version == 1 {
		s.migrateLocked(&l)
	}
	// The files may have been written by a process that was killed before its last fsync.
	for _, dir := range []string{".", blobDir} {
		if err := s.fs.SyncDir(dir); err != nil {
			return registry.Loaded{}, fmt.Errorf("data directory %s: %w", s.dir, err)
		}
	}
	if err := s.checkAside(&l); err != nil {
		return registry.Loaded{}, fmt.Errorf("data directory %s: %w", s.dir, err)
	}
	s.current = l.State
	s.feed.Publish(l.State)
	return l.Loaded, nil
}

// loading collects the result of Load.
type loading struct {
	registry.Loaded
	version int // form of the manifest that was read; zero: none
}

func (l *loading) report(subject, detail string, err error) {
	l.Problems = append(l.Problems, registry.Problem{Subject: subject, Detail: detail, Err: err})
}

func (s *Store) loadManifestLocked(l *loading) (err error) {
	if l.State, s.saved, err = s.readManifest(manifestName, l); err != nil || l.State != nil {
		return err
	}
	if l.State, s.saved, err = s.readManifest(previousName, l); err != nil {
		return err
	}
	switch {
	case l.State != nil:
		l.report(manifestName, "missing or set aside; the previous manifest is used, so the last change is lost", nil)
		l.State.Generation++ // the lost change has used that generation
		l.KeepBlobs = true
		return nil
	case l.KeepBlobs:
		l.report(manifestName, "no manifest could be read; the catalogue begins empty", nil)
	}
	l.State = &registry.State{Services: map[routekey.Key]registry.Service{}}
	return nil
}

// readManifest returns nil without an error if the manifest is missing or was set aside.
func (s *Store) readManifest(name string, l *loading) (*registry.State, []byte, error) {
	data, err := s.fs.ReadFile(name, s.maxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	var state *registry.State
	var version int
	if err == nil {
		state, version, err = decodeManifest(data, s.blob)
	}
	if err == nil && version == 1 {
		err = addRecordsV1(s.fs, state)
	}
	switch {
	case err == nil:
		l.version = version
		return state, data, nil
	case !errors.Is(err, errTorn) && !errors.Is(err, durable.ErrTooLarge) && !errors.Is(err, durable.ErrIrregular):
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	to, asideErr := s.files.SetAside(".", name)
	if asideErr != nil {
		return nil, nil, fmt.Errorf("set aside %s (%w): %w", name, err, asideErr)
	}
	l.report(name, "set aside as "+to, err)
	l.KeepBlobs = true
	return nil, nil, nil
}

// migrateLocked writes a catalogue that was read in version 1 as both manifests in today's form. What version 1 kept
// elsewhere is then not read any more, such as blobs that a collection would delete. If it fails, the same is done at
// the next start, and until then nothing is collected.
func (s *Store) migrateLocked(l *loading) {
	data, err := encodeManifest(l.State)
	if err == nil {
		err = s.files.Place(previousName, data)
	}
	if err == nil {
		err = s.files.Write(manifestName, data)
	}
	if err != nil {
		l.report(manifestName, "could not be written in the form of this release; it is tried again at the next start", err)
		l.KeepBlobs = true
	}
	if now, err := s.fs.ReadFile(manifestName, s.maxBytes); err == nil {
		s.saved = now
	}
}

// tidy empties tmp/, sets foreign files in blobs/ aside and reports those at the top.
func (s *Store) tidy(l *loading) error {
	if err := s.files.EmptyTmp(); err != nil {
		return err
	}
	if err := s.tidyTop(l); err != nil {
		return err
	}
	parent, leaf, _ := strings.Cut(blobDir, "/")
	if err := s.setForeignAside(l, parent, func(e durable.Entry) bool { return e.Name == leaf }); err != nil {
		return err
	}
	return s.setForeignAside(l, blobDir, func(e durable.Entry) bool { _, ok := digestOfEntry(e); return ok })
}

// tidyTop reports files that do not belong to the store.
func (s *Store) tidyTop(l *loading) error {
	known := []string{
		lockName, manifestName, previousName, asideDir, tmpDir, cacheDir, queueDir, kvDir, schedulesDir, tokensDir, auditDir, usageDir, followDir, partialDir, hostDir, strings.Split(blobDir, "/")[0], "lost+found",
		lambdaDir, // files of the Lambda API
		acmeDir,   // certificates
		"logs",    // of services
	}
	top, err := s.fs.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range top {
		if !slices.Contains(known, e.Name) && !strings.HasPrefix(e.Name, ".") {
			l.report(e.Name, "does not belong to a data directory; it is left alone", nil)
		}
	}
	return nil
}

func (s *Store) setForeignAside(l *loading, dir string, ours func(durable.Entry) bool) error {
	entries, err := s.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ours(e) {
			continue
		}
		if _, err := s.files.SetAside(dir, e.Name); err != nil {
			l.report(dir+"/"+e.Name, "is not a blob, and could not be set aside", err)
		} else {
			l.report(dir+"/"+e.Name, "is not a blob; set aside in "+asideDir, nil)
		}
	}
	return nil
}

// checkAside keeps all blobs while setaside/ contains a manifest, which may refer to them.
func (s *Store) checkAside(l *loading) error {
	entries, err := s.fs.ReadDir(asideDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name, manifestName) {
			l.report(asideDir+"/"+e.Name, "no blob is deleted at run time while it is there, for it may name some", nil)
			l.KeepBlobs = true
		}
	}
	return nil
}
