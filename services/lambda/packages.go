package lambda

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/function"
)

// packagesDirectory holds the unpacked programs of functions, by the digest of their archive.
const packagesDirectory = "code"

// PackagesIn returns where a Handler with this Directory unpacks the programs of functions: what function.Config.Packages must be.
func PackagesIn(directory string) string { return filepath.Join(directory, packagesDirectory) }

// collectEvery is the time between two collections. A package is deleted by the second one that finds it unused, so that the processes of a
// replaced version, which has a minute to drain, still find their files.
const collectEvery = 10 * time.Minute

// packages guards the unpacked programs against being deleted while they become part of a version.
type packages struct {
	using  sync.RWMutex    // held for reading from unpacking to the end of the deploy, for writing while packages are deleted
	unused map[string]bool // guarded by using; found by the last collection
}

// collect deletes unused packages until ctx ends.
func (h *Handler) collect(ctx context.Context) {
	if h.cfg.Directory == "" || h.cfg.Blob == nil {
		return
	}
	ticker := time.NewTicker(collectEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := h.collectOnce(ctx); err != nil && ctx.Err() == nil {
			h.cfg.Log.Warn("unused programs of functions could not be deleted", slog.Any("error", err))
		}
	}
}

// collectOnce deletes the packages that were unused the last time and still are, and what unpacking has left behind.
func (h *Handler) collectOnce(ctx context.Context) error {
	h.packages.using.Lock()
	defer h.packages.using.Unlock()
	if !h.cfg.Catalogue.Ready() {
		return nil
	}
	directory := PackagesIn(h.cfg.Directory)
	entries, err := os.ReadDir(directory)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	used, err := h.usedPackages(ctx)
	if err != nil {
		return err
	}
	unused := map[string]bool{}
	for _, e := range entries {
		switch path := filepath.Join(directory, e.Name()); {
		case used[path]:
		case h.packages.unused[e.Name()]:
			err = errors.Join(err, os.RemoveAll(path))
		default:
			unused[e.Name()] = true
		}
	}
	h.packages.unused = unused
	return err
}

// usedPackages returns the directories of the programs of all versions in the catalogue, those kept for rollbacks included.
func (h *Handler) usedPackages(ctx context.Context) (map[string]bool, error) {
	used := map[string]bool{}
	for _, e := range h.cfg.Catalogue.List() {
		for _, v := range append([]registry.Version{e.Service.Current}, e.Service.History...) {
			if v.Kind != function.KindName {
				continue
			}
			text, err := h.cfg.Blob(ctx, v.Digest)
			if err != nil {
				return nil, fmt.Errorf("read a version of %s: %w", e.Service.Prefix, err)
			}
			d, err := function.Decode(text)
			switch {
			case err != nil:
				return nil, fmt.Errorf("read a version of %s: %w", e.Service.Prefix, err)
			case d.Package != "":
				used[filepath.Join(PackagesIn(h.cfg.Directory), d.Package)] = true
			case d.Exec != "": // versions were once given the path
				used[filepath.Dir(d.Exec)] = true
			}
		}
	}
	return used, nil
}
