package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

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
	// The files may have been written by a process that was killed before its last fsync.
	for _, dir := range []string{".", blobDir} {
		if err := s.fs.SyncDir(dir); err != nil {
			return registry.Loaded{}, fmt.Errorf("data directory %s: %w", s.dir, err)
		}
	}
	if err := s.checkAside(&l); err != nil {
		return registry.Loaded{}, fmt.Errorf("data directory %s: %w", s.dir, err)
	}
	return l.Loaded, nil
}

// loading collects the result of Load.
type loading struct{ registry.Loaded }

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
	l.State = &registry.State{Services: map[registry.Prefix]registry.Service{}}
	return nil
}

// readManifest returns nil without an error if the manifest is missing or was set aside.
func (s *Store) readManifest(name string, l *loading) (*registry.State, []byte, error) {
	data, err := s.fs.ReadFile(name, maxManifestBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	var state *registry.State
	if err == nil {
		state, err = decodeManifest(data)
	}
	switch {
	case err == nil:
		return state, data, nil
	case !errors.Is(err, errTorn) && !errors.Is(err, errTooLarge) && !errors.Is(err, errIrregular):
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	to, asideErr := s.setAside(".", name)
	if asideErr != nil {
		return nil, nil, fmt.Errorf("set aside %s (%w): %w", name, err, asideErr)
	}
	l.report(name, "set aside as "+to, err)
	l.KeepBlobs = true
	return nil, nil, nil
}

// tidy empties tmp/, sets foreign files in blobs/ aside and reports those at the top.
func (s *Store) tidy(l *loading) error {
	if err := s.emptyTmp(); err != nil {
		return err
	}
	if err := s.tidyTop(l); err != nil {
		return err
	}
	parent, leaf, _ := strings.Cut(blobDir, "/")
	if err := s.setForeignAside(l, parent, func(e entry) bool { return e.name == leaf }); err != nil {
		return err
	}
	return s.setForeignAside(l, blobDir, func(e entry) bool { _, ok := digestOfEntry(e); return ok })
}

// tidyTop reports files that do not belong to the store.
func (s *Store) tidyTop(l *loading) error {
	known := []string{
		lockName, manifestName, previousName, asideDir, tmpDir, cacheDir, queueDir, strings.Split(blobDir, "/")[0], "lost+found",
		"lambda", // files of the Lambda API
	}
	top, err := s.fs.ReadDir(".")
	if err != nil {
		return err
	}
	for _, e := range top {
		if !slices.Contains(known, e.name) && !strings.HasPrefix(e.name, ".") {
			l.report(e.name, "does not belong to a data directory; it is left alone", nil)
		}
	}
	return nil
}

// emptyTmp removes files that were being written when the process died. None of them was acknowledged.
func (s *Store) emptyTmp() error {
	entries, err := s.fs.ReadDir(tmpDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.regular {
			s.unstage(tmpDir + "/" + e.name)
		}
	}
	return nil
}

func (s *Store) setForeignAside(l *loading, dir string, ours func(entry) bool) error {
	entries, err := s.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if ours(e) {
			continue
		}
		if to, err := s.setAside(dir, e.name); err != nil {
			l.report(dir+"/"+e.name, "is not a blob, and could not be set aside", err)
		} else {
			l.report(dir+"/"+e.name, "is not a blob; set aside as "+to, nil)
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
		if strings.HasPrefix(e.name, manifestName) {
			l.report(asideDir+"/"+e.name, "no blob is deleted at run time while it is there, for it may name some", nil)
			l.KeepBlobs = true
		}
	}
	return nil
}

// maxAsideBytes leaves room for a number within the file system's limit for names.
const maxAsideBytes = 200

// setAside moves a file of dir to setaside/, under a free name that it returns.
func (s *Store) setAside(dir, name string) (string, error) {
	s.asideMu.Lock()
	defer s.asideMu.Unlock()
	entries, err := s.fs.ReadDir(asideDir)
	if err != nil {
		return "", err
	}
	taken := make(map[string]bool, len(entries))
	for _, e := range entries {
		taken[e.name] = true
	}
	short := name[:min(len(name), maxAsideBytes)]
	to := short + ".1"
	for n := 2; taken[to]; n++ {
		to = fmt.Sprintf("%s.%d", short, n)
	}
	to = asideDir + "/" + to
	if err := s.fs.Rename(dir+"/"+name, to); err != nil {
		return "", err
	}
	return to, errors.Join(s.fs.SyncDir(asideDir), s.fs.SyncDir(dir))
}
