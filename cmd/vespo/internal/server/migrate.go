package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/services/control/follow"
)

// MigrateCmd moves a catalogue between a data directory and a store.
type MigrateCmd struct {
	Data      string `placeholder:"DIR" type:"path" help:"Data directory, which no server uses (vespo-data)."`
	Store     string `placeholder:"URL" env:"VESPO_STORE" required:"" help:"Store, as for vespo-cluster serve: the catalogue must not be there yet."`
	Back      bool   `help:"Move the catalogue of the store into the directory, which must be new, or that of a host of the store."`
	Root      string `placeholder:"DIR" type:"path" help:"Directory of static files and mounts, as for vespo serve: those that services name must be there."`
	Blobs     string `placeholder:"URL" env:"VESPO_BLOBS" help:"Object store of the hosts of the store, as for vespo-cluster serve: it gets the modules, or has them for --back."`
	Elsewhere bool   `help:"Move services, too, whose directories or programs this machine lacks: other hosts have them."`
	DryRun    bool   `help:"Check all, and change nothing."`

	open    Openers
	created *filestore.Store // the data directory, if this command has made it
}

// NewMigrateCmd returns the command. open opens the stores of the program.
func NewMigrateCmd(open Openers) MigrateCmd { return MigrateCmd{open: open} }

// BeforeResolve is called by kong.
func (c *MigrateCmd) BeforeResolve(ctx *kong.Context) error { return flags.Empty(ctx) }

// Run is called by kong.
func (c *MigrateCmd) Run(ctx context.Context, s stdio.Streams) (err error) {
	if c.open.Store == nil {
		return errors.New("this program has no stores: use vespo-cluster, which is built from cmd/vespo/vespo-cluster")
	}
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer release()
	list := parts.New(ctx)
	defer func() { err = errors.Join(err, list.Close(drainTimeout)) }()
	c.Data = cmp.Or(c.Data, defaultData)
	began := false
	defer func() {
		if c.created != nil && !began {
			err = errors.Join(err, c.created.RemoveEmpty())
		}
	}()
	m, node, err := c.prepare(ctx, list)
	if err != nil {
		return err
	}
	defer func() { began = m.Began }() // before the directory is removed
	var moved cluster.Moved
	if c.Back {
		moved, err = m.ToDirectory(ctx, node)
	} else {
		moved, err = m.ToStore(ctx)
	}
	if err != nil && !m.Began {
		err = fmt.Errorf("%w; nothing was moved", err)
	}
	if err != nil {
		return err
	}
	return c.report(s, m.Store.String(), moved)
}

// prepare opens the directory and the store, as parts of list.
func (c *MigrateCmd) prepare(ctx context.Context, list *parts.List) (*cluster.Migration, *cluster.Node, error) {
	dir, err := c.openDirectory(ctx, list)
	if err != nil {
		return nil, nil, err
	}
	var store cluster.Store
	err = list.Open(ctx, parts.Part{
		Name: "the store",
		Open: func(ctx context.Context) (err error) {
			store, err = c.open.Store(ctx, cluster.Options{
				URL:      c.Store,
				Host:     "vespo migrate",
				Password: os.Getenv(cluster.PasswordVariable),
				Log:      slog.New(slog.DiscardHandler),
			})
			return err
		},
		Close: func(context.Context) error { return store.Close() },
	})
	if err != nil {
		return nil, nil, err
	}
	objects, err := c.openObjects(ctx, list)
	if err != nil {
		return nil, nil, err
	}
	var node *cluster.Node
	err = list.Open(ctx, parts.Part{
		Name: "the connections to hosts",
		Open: func(context.Context) (err error) {
			node, err = cluster.NewNode(cluster.NodeConfig{Store: store, MaxBlobBytes: flags.MaxModuleBytes, Objects: objects, Log: slog.New(slog.DiscardHandler)})
			return err
		},
		Close: func(context.Context) error { node.Close(); return nil },
	})
	m := &cluster.Migration{Store: store, Dir: dir, Blobs: dir.Blobs(), Objects: objects, Check: c.check, DryRun: c.DryRun}
	return m, node, err
}

// openObjects opens the object store; nil without one.
func (c *MigrateCmd) openObjects(ctx context.Context, list *parts.List) (cluster.Objects, error) {
	settings := Config{}
	settings.Blobs, settings.OpenBlobs, settings.MaxModule = c.Blobs, c.open.Blobs, flags.MaxModuleBytes
	return settings.openObjects(ctx, list)
}

// openDirectory opens the data directory. Without --back it has to be there.
func (c *MigrateCmd) openDirectory(ctx context.Context, list *parts.List) (dir *filestore.Store, err error) {
	_, missing := os.Stat(c.Data)
	if missing != nil && (!c.Back || !errors.Is(missing, fs.ErrNotExist)) {
		return nil, fmt.Errorf("data directory: %w", missing)
	}
	err = list.Open(ctx, parts.Part{
		Name:  "the data directory",
		Open:  func(context.Context) (err error) { dir, err = filestore.Open(c.Data); return err },
		Close: func(context.Context) error { return dir.Close() },
	})
	if err != nil {
		return nil, err
	}
	if missing != nil {
		c.created = dir
	}
	return dir, notFollowing(dir.FollowDir())
}

// notFollowing returns an error if a data directory is the copy of a primary. dir is where it says so.
func notFollowing(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	origin, damage, err := follow.OpenOrigin(durable.Dir(dir))
	if err = cmp.Or(err, damage); err != nil {
		return err
	}
	if origin.Primary() != "" {
		return fmt.Errorf("the data directory is a copy of %s: move the catalogue of that server, or start vespo serve once without --follow", origin.Primary())
	}
	return nil
}

// check returns an error if this machine lacks something that services need.
func (c *MigrateCmd) check(state *registry.State) error {
	if c.Elsewhere {
		return nil
	}
	if err := lacking(state, c.Root); err != nil {
		return fmt.Errorf("%w; give --root, or --elsewhere if other hosts have what is missing", err)
	}
	return nil
}

// report says what was moved.
func (c *MigrateCmd) report(s stdio.Streams, store string, moved cluster.Moved) error {
	versions := 0
	for _, service := range moved.State.Services {
		versions += len(service.Versions())
	}
	verb := "moved"
	switch {
	case moved.Already:
		verb = "moved before:"
	case c.DryRun:
		verb = "would move"
	}
	from, to := filepath.Clean(c.Data), store
	if c.Back {
		from, to = to, from
	}
	_, err := fmt.Fprintf(s.Out, "%s services: %d, versions: %d, modules and other blobs: %d, generation %d; from %s to %s\n",
		verb, len(moved.State.Services), versions, moved.Blobs, moved.State.Generation, stdio.Printable(from), stdio.Printable(to))
	if err != nil || c.DryRun {
		return err
	}
	next := "start vespo-cluster serve with this --data and this --store: the directory has the modules of the catalogue"
	if c.Back {
		next = "the store still has its catalogue: stop its hosts, and delete its keys when none needs it"
	}
	_, err = fmt.Fprintln(s.Out, next)
	return err
}
