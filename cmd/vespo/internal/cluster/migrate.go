package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vespo-dev/vespo/registry"
)

// maxReported bounds the blobs that an error names.
const maxReported = 10

// Migration moves a catalogue between a data directory and a store. All is checked before the first write of a catalogue,
// and one commit makes it: a migration that was interrupted can be made again.
type Migration struct {
	Store Store              // was opened without a copy; not loaded
	Dir   registry.Store     // of the directory, which no server uses; not loaded
	Blobs registry.BlobStore // of the directory
	// Objects is the object store of the hosts. It gets the blobs before the catalogue is written. Nil: there is none.
	Objects Objects
	// Check returns an error if this machine lacks something that services need. Nil: not checked.
	Check  func(*registry.State) error
	DryRun bool // check all, and change nothing
	Began  bool // set before the catalogue is written
}

// Moved describes a migration.
type Moved struct {
	State   *registry.State // the catalogue
	Blobs   int             // that its versions refer to
	Already bool            // it was made before
}

// Errors of migrations.
var (
	ErrNotEmpty = errors.New("the target is not empty")
	ErrNothing  = errors.New("there is nothing to move")
)

// ToStore moves the catalogue of the directory into the store, which must be empty. The directory becomes that of a host of
// the store: it has a copy of the catalogue, and the blobs.
func (m *Migration) ToStore(ctx context.Context) (Moved, error) {
	stored, err := whole(ctx, m.Dir, "the data directory")
	if err != nil {
		return Moved{}, err
	}
	mark, state, err := MarkOf(stored)
	if err != nil {
		return Moved{}, err
	}
	if mark == nil {
		state = stored
	}
	moved := Moved{State: state, Blobs: len(state.Digests())}
	if mark == nil {
		err = m.checkDirectory(ctx, state)
	}
	if err != nil {
		return Moved{}, err
	}
	there, err := whole(ctx, m.Store, "the store")
	if err != nil {
		return Moved{}, err
	}
	switch at := m.Store.Mark(); {
	case mark != nil && mark.Catalogue == at.Catalogue:
		moved.Already = true
		return moved, nil
	case mark != nil:
		return Moved{}, fmt.Errorf("%w: the directory has a copy of the catalogue of %s, and none of its own", ErrNothing, mark.Store)
	case isEmpty(there), same(there, state):
	default:
		return Moved{}, fmt.Errorf("%w: %s has a catalogue of %d services, of generation %d; choose another prefix", ErrNotEmpty, m.Store, len(there.Services), there.Generation)
	}
	if m.DryRun {
		return moved, nil
	}
	if err := m.upload(ctx, state); err != nil {
		return Moved{}, err
	}
	m.Began = true
	if isEmpty(there) {
		if err := m.Store.Commit(ctx, there, state); err != nil {
			return Moved{}, fmt.Errorf("%w; give the command again: it goes on where it was", err)
		}
	}
	return moved, m.mark(ctx, stored)
}

// upload stores all blobs of a state in the object store, if there is one.
func (m *Migration) upload(ctx context.Context, state *registry.State) error {
	if m.Objects == nil {
		return nil
	}
	for _, d := range slices.Sorted(maps.Keys(state.Digests())) {
		blob, err := m.Blobs.Get(ctx, d)
		if err == nil {
			err = m.Objects.Put(ctx, d, blob)
		}
		if err != nil {
			return fmt.Errorf("store the module %s in the object store: %w", d, err)
		}
	}
	return nil
}

// mark makes the directory a copy of the store's catalogue, which is equal.
func (m *Migration) mark(ctx context.Context, stored *registry.State) error {
	marked, err := m.Store.Mark().On(stored, stored)
	if err == nil {
		err = m.Dir.Commit(context.WithoutCancel(ctx), stored, marked)
	}
	if err != nil {
		return fmt.Errorf("the catalogue is in the store, but the directory could not be marked as a copy of it: %w; give the command again", err)
	}
	return nil
}

// checkDirectory returns an error unless the whole catalogue of the directory can be moved.
func (m *Migration) checkDirectory(ctx context.Context, state *registry.State) error {
	if isEmpty(state) {
		return fmt.Errorf("%w: the directory has no services", ErrNothing)
	}
	if err := m.Store.Fits(state); err != nil {
		return err
	}
	if m.Check != nil {
		if err := m.Check(state); err != nil {
			return err
		}
	}
	return readAll(ctx, m.Blobs, state)
}

// ToDirectory moves the catalogue of the store into the directory, which must be empty, or that of a host of the store. The
// store keeps what it has.
func (m *Migration) ToDirectory(ctx context.Context, node *Node) (Moved, error) {
	state, err := whole(ctx, m.Store, "the store")
	if err != nil {
		return Moved{}, err
	}
	stored, err := whole(ctx, m.Dir, "the data directory")
	if err != nil {
		return Moved{}, err
	}
	mark, _, err := MarkOf(stored)
	moved := Moved{State: state, Blobs: len(state.Digests())}
	switch {
	case err != nil:
		return Moved{}, err
	case isEmpty(state):
		return Moved{}, fmt.Errorf("%w: %s has no catalogue", ErrNothing, m.Store)
	case mark != nil && mark.Catalogue != m.Store.Mark().Catalogue:
		return Moved{}, fmt.Errorf("%w: the directory has a copy of another catalogue, that of %s", ErrNotEmpty, mark.Store)
	case mark == nil && sameContent(stored, state):
		moved.Already = true
	case mark == nil && !isEmpty(stored):
		return Moved{}, fmt.Errorf("%w: the directory has a catalogue of its own, of %d services at generation %d", ErrNotEmpty, len(stored.Services), stored.Generation)
	}
	if m.Check != nil {
		if err := m.Check(state); err != nil {
			return Moved{}, err
		}
	}
	if m.DryRun || moved.Already {
		return moved, nil
	}
	if err := readAll(ctx, node.Blobs(m.Blobs), state); err != nil {
		return Moved{}, fmt.Errorf("%w; hosts of the store have them: start those, or name their object store with --blobs", err)
	}
	if err := m.unchanged(ctx, state); err != nil {
		return Moved{}, err
	}
	m.Began = true
	next := &registry.State{Generation: max(state.Generation, stored.Generation+1), Services: state.Services, Records: state.Records}
	return moved, m.Dir.Commit(ctx, stored, next)
}

// unchanged returns an error if the store has another state meanwhile.
func (m *Migration) unchanged(ctx context.Context, state *registry.State) error {
	now, err := m.Store.View(ctx)
	if err == nil && now.Generation != state.Generation {
		err = fmt.Errorf("%s was changed meanwhile, from generation %d to %d: give the command again while no client deploys", m.Store, state.Generation, now.Generation)
	}
	return err
}

// whole loads a catalogue. Problems are errors: a catalogue is moved whole, or not at all.
func whole(ctx context.Context, from registry.Store, name string) (*registry.State, error) {
	loaded, err := from.Load(ctx)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, p := range loaded.Problems {
		failed = append(failed, errors.New(p.String()))
	}
	if loaded.KeepBlobs && len(failed) == 0 {
		failed = append(failed, errors.New("it has, or had, parts that cannot be read"))
	}
	if len(failed) > 0 {
		return nil, fmt.Errorf("%s has a catalogue that is not whole: %w", name, errors.Join(failed...))
	}
	return loaded.State, nil
}

// readAll reads, and thereby checks or fetches, all blobs of a state.
func readAll(ctx context.Context, blobs registry.BlobStore, state *registry.State) error {
	var failed []error
	digests := slices.Sorted(maps.Keys(state.Digests()))
	for _, d := range digests {
		_, err := blobs.Get(ctx, d)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d modules and other blobs cannot be read: %w", len(failed), len(digests), errors.Join(failed[:min(len(failed), maxReported)]...))
}

func isEmpty(s *registry.State) bool {
	return s.Generation == 0 && len(s.Services) == 0 && len(s.Records) == 0
}

// same reports whether two catalogues are equal.
func same(a, b *registry.State) bool { return a.Generation == b.Generation && sameContent(a, b) }

// sameContent reports whether two catalogues have the same services and records.
func sameContent(a, b *registry.State) bool {
	return maps.EqualFunc(a.Services, b.Services, registry.Service.Equal) &&
		maps.EqualFunc(a.Records, b.Records, registry.Record.Equal)
}
