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
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/function"
)

// packagesDirectory holds the unpacked programs of functions, each named by the digest of its archive.
const packagesDirectory = "code"

// PackagesIn returns the directory where a Handler with this Directory
// unpacks programs. function.Config.Packages must be set to it.
func PackagesIn(directory string) string { return filepath.Join(directory, packagesDirectory) }

// collectEvery is the interval between collections. A package is deleted by the second collection that finds
// it unused. The processes of a replaced version have a minute to drain and must still find their files.
const collectEvery = 10 * time.Minute

// packages prevents unpacked programs from being deleted while a deployment uses them.
type packages struct {
	using  sync.RWMutex    // read-locked from unpacking to the end of the deployment, write-locked while packages are deleted
	unused map[string]bool // guarded by using; unused at the last collection
}

// collect deletes unused packages until ctx is done.
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

// collectOnce deletes the packages that were unused at the last collection
// and still are. Directories left by a failed extraction count as unused.
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
	used, err := h.usedPackages()
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

// usedPackages returns the package directories of all versions
// in the catalogue, including those kept for rollbacks.
func (h *Handler) usedPackages() (map[string]bool, error) {
	used := map[string]bool{}
	for _, e := range h.cfg.Catalogue.List() {
		for _, v := range append([]registry.Version{e.Service.Current}, e.Service.History...) {
			if v.Kind != function.KindName {
				continue
			}
			d, err := documentOf(services.Spec{Manifest: v.Manifest})
			switch {
			case err != nil:
				return nil, fmt.Errorf("read a version of %s: %w", e.Service.Prefix, err)
			case d.Package != "":
				used[filepath.Join(PackagesIn(h.cfg.Directory), d.Package)] = true
			case d.Exec != "": // older versions hold the path of the program
				used[filepath.Dir(d.Exec)] = true
			}
		}
	}
	return used, nil
}
