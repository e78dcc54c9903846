package filestore

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/durable/crashfs"
	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// keptCatalogue is a registry over a file system, for the crash suite.
type keptCatalogue struct{ *registry.Registry }

// openCatalogue opens the store in fsys and checks that all referenced blobs are there.
func openCatalogue(fsys durable.FS) (crashtest.Kept, error) {
	store, err := OpenFS(fsys, "memory")
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	reg, problems, err := registry.Open(ctx, store, store.Blobs())
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("problems: %v", problems)
	}
	for digest := range reg.State().Digests() {
		if _, err := reg.Blob(ctx, digest); err != nil {
			return nil, err
		}
	}
	return keptCatalogue{reg}, nil
}

func (k keptCatalogue) State() any { return k.Registry.State() }

func (k keptCatalogue) Close() error { return nil }

// Step deploys, replaces, removes and collects.
func (k keptCatalogue) Step(n int) error {
	ctx := context.Background()
	base := k.Registry.State()
	var next *registry.State
	if n == 5 {
		removed, err := base.Remove(routekey.MustParse("/a"))
		if err != nil {
			return err
		}
		next = removed
	} else {
		blob := fmt.Appendf(nil, "module %d of the scenario", n%4)
		digest, release, err := k.PutBlob(ctx, blob)
		if err != nil {
			return err
		}
		defer release()
		next, _ = base.Put(routekey.MustParse([]string{"/a", "/b"}[n%2]), registry.Version{
			Kind:     "wasm",
			Blobs:    []registry.Blob{{Field: "module", Digest: digest, SizeBytes: int64(len(blob))}},
			Deployed: time.Unix(int64(n), 0),
		})
	}
	if err := k.Commit(ctx, base, next); err != nil {
		return err
	}
	_, _ = k.CollectGarbage(ctx) // after a failure there is more to collect next time
	return nil
}

func TestCrash(t *testing.T) {
	crashtest.Run(t, crashtest.Subject{Open: openCatalogue, Steps: 8, Uncertain: isUncertain})
}

func isUncertain(err error) bool { return errors.Is(err, registry.ErrUncertain) }

func TestUncertainStoreTakesNoChange(t *testing.T) {
	fsys := crashfs.New()
	kept, err := openCatalogue(fsys)
	require.NoError(t, err)
	require.NoError(t, kept.Step(0))
	acknowledged := kept.State()

	fsys.Inject(func(op crashfs.Operation) crashfs.Fault {
		if op.Kind == "syncdir" && op.Name == "." {
			return crashfs.Fault{Err: syscall.EIO}
		}
		return crashfs.Fault{}
	})
	require.ErrorIs(t, kept.Step(1), registry.ErrUncertain)
	fsys.Inject(nil)
	require.ErrorIs(t, kept.Step(1), registry.ErrUncertain, "also once the disk answers again")
	require.Same(t, acknowledged, kept.State())

	again, err := openCatalogue(fsys)
	require.NoError(t, err)
	require.NoError(t, again.Step(1), "a store that is opened again takes changes")
}
