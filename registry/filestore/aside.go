package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/durable"
)

// replacedPrefix begins the names of manifests that an operator has replaced. Unlike those that were set aside as
// unreadable, they keep no blobs.
const replacedPrefix = "replaced-"

// SetCatalogueAside moves the manifests to setaside/, so that the catalogue begins empty. It is called before Load.
func (s *Store) SetCatalogueAside() error {
	s.saveMu.Lock()
	defer s.saveMu.Unlock()
	entries, err := s.fs.ReadDir(asideDir)
	if err != nil {
		return err
	}
	number := 1
	for slices.ContainsFunc(entries, func(e durable.Entry) bool {
		return strings.HasPrefix(e.Name, fmt.Sprintf("%s%d-", replacedPrefix, number))
	}) {
		number++
	}
	for _, name := range []string{previousName, manifestName} { // a crash in between leaves the catalogue
		err := s.fs.Rename(name, fmt.Sprintf("%s/%s%d-%s", asideDir, replacedPrefix, number, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return errors.Join(s.fs.SyncDir(asideDir), s.fs.SyncDir("."))
}
