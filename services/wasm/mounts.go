package wasm

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/runtime/abi"
)

// maxMounts is how many directories one service can mount.
const maxMounts = 16

// checkMounts looks at the paths. Whether the directories are there is found when they are opened.
func (k *Kind) checkMounts(mounts map[string]string) (violations []string) {
	refuse := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	if len(mounts) > 0 && k.cfg.Root == nil {
		refuse("the option mount is given, but this server mounts nothing: start it with --root")
	}
	if len(mounts) > maxMounts {
		refuse("the option mount is given %d times, at most %d directories can be mounted", len(mounts), maxMounts)
	}
	for _, guest := range slices.Sorted(maps.Keys(mounts)) {
		if !path.IsAbs(guest) || path.Clean(guest) != guest {
			refuse("the option mount has the path %.100q: it must be absolute and clean, such as /content", guest)
		}
		if !filepath.IsLocal(mounts[guest]) {
			refuse("the option mount has the directory %.100q: it must be below the server's root, such as content", mounts[guest])
		}
	}
	return violations
}

// openMounts opens the directories of the deployment, below root. They stay open, so that what is mounted cannot be exchanged
// for something else by renaming.
func (d *deployment) openMounts(root *os.Root) error {
	d.environment.Log = d.guestLog
	mounts := d.spec.Options.Mounts
	for _, guest := range slices.Sorted(maps.Keys(mounts)) {
		dir, err := regular.OpenRootIn(root, mounts[guest])
		if err != nil {
			_ = d.release()
			return problem.Newf(problem.ModuleInvalid, "the directory %.100q cannot be mounted: it is not a directory below the server's root",
				mounts[guest]).WithCause(err)
		}
		d.mounts = append(d.mounts, dir)
		d.environment.Mounts = append(d.environment.Mounts, abi.Mount{GuestPath: guest, FS: regular.FS(dir)})
	}
	return nil
}
