package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/configfile"
	"github.com/vespo-dev/vespo/services/control/follow"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// copied is what a server has that follows another one.
type copied struct {
	primary  *peer.Host
	fetcher  *peer.Fetcher
	blobs    *peer.Store
	follower *follow.Follower // nil until the deployer is made
}

// openCopy prepares to follow another server, if the settings say so. Blobs that are missing are fetched from it.
func (c *core) openCopy(ctx context.Context, list *parts.List, cfg *Config) (blobs registry.BlobStore, err error) {
	blobs = c.store.Blobs()
	if cfg.Follow == "" {
		return blobs, nil
	}
	c.copied = &copied{}
	err = list.Open(ctx, parts.Part{
		Name:  "the connections to " + cfg.Follow,
		Open:  func(context.Context) (err error) { c.copied.primary, err = cfg.primary(); return err },
		Close: func(context.Context) error { c.copied.primary.Close(); return nil },
	})
	if err != nil {
		return nil, err
	}
	partials, err := peer.OpenPartials(c.store.PartialDir())
	if err != nil {
		return nil, err
	}
	c.copied.fetcher = peer.NewFetcher(peer.Config{
		Hosts:    func() []*peer.Host { return []*peer.Host{c.copied.primary} },
		MaxBytes: int64(cfg.MaxModule),
		Partials: partials,
	})
	c.copied.blobs = c.copied.fetcher.Over(blobs)
	return c.copied.blobs, nil
}

// checkOrigin decides whether the catalogue of the data directory may be followed into, or goes on as one of its own.
// It opens the file that says so only where there is one, or will be.
func (c *core) checkOrigin(ctx context.Context, cfg *Config, catalogue *registry.Registry, log *slog.Logger) error {
	dir := c.store.FollowDir()
	if _, err := os.Stat(dir); cfg.Follow == "" && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := durable.MkdirAll(dir); err != nil {
		return err
	}
	origin, damage, err := follow.OpenOrigin(durable.Dir(dir))
	if err != nil {
		return err
	}
	if damage != nil {
		log.Error("the file that names the primary of this directory is damaged", "error", damage)
	}
	state := catalogue.State()
	switch {
	case cfg.Follow == "":
		return promote(ctx, origin, catalogue, log)
	case origin.Primary() != "" && origin.Primary() != c.copied.primary.String():
		log.Info("the primary of this directory has another address", "before", origin.Primary(), "now", c.copied.primary)
	case origin.Primary() == "" && state.Generation > 0:
		return fmt.Errorf("--follow: the data directory %s has a catalogue of its own, with %d services at generation %d, which a copy would replace: "+
			"give an empty directory as --data, or --follow-anew to set that catalogue aside", c.dataDir, len(state.Services), state.Generation)
	}
	return origin.Set(c.copied.primary.String())
}

// promote makes a copy a catalogue of its own. It gets another identity: from here on, both may change.
func promote(ctx context.Context, origin *follow.Origin, catalogue *registry.Registry, log *slog.Logger) error {
	if origin.Primary() == "" {
		return nil
	}
	state := catalogue.State()
	if state.Generation > 0 {
		next, err := follow.WithIdentity(state)
		if err == nil {
			err = catalogue.Commit(ctx, state, next)
		}
		if err != nil {
			return fmt.Errorf("make the copy of %s a catalogue of its own: %w", origin.Primary(), err)
		}
	}
	log.Warn("this directory was a copy, and is a catalogue of its own from now on", "primary", origin.Primary(), "generation", catalogue.State().Generation)
	return origin.Set("")
}

// readOnly returns the error of changes, or nil if they are made.
func (c *core) readOnly() error {
	if c.copied == nil {
		return nil
	}
	return admin.Followed(c.copied.primary.String())
}

// openFeed lets other servers follow this one, and this one its primary.
func (c *core) openFeed(cfg *Config, catalogue *registry.Registry, management *admin.Handler, log *slog.Logger) {
	c.feed = follow.NewFeed(catalogue, c.deployer, c.copied != nil)
	management.AttachFeed(c.feed)
	if c.copied == nil {
		return
	}
	c.copied.follower = follow.New(follow.Config{
		Primary:  c.copied.primary,
		Registry: catalogue,
		Deployer: c.deployer,
		Prefetch: c.copied.blobs.Prefetch,
		MaxLag:   cfg.MaxLag,
		Log:      log,
	})
	management.AttachFollower(c.copied.follower)
}

// followerPart returns the part that follows another server, if there is one to follow.
func (c *core) followerPart() parts.Part {
	return parts.Part{
		Name: "the follower",
		Data: true,
		Run: func(ctx context.Context) error {
			if c.copied != nil {
				c.copied.follower.Run(ctx)
			}
			return nil
		},
	}
}

// refuseServices returns an error if a configuration file declares services beside --follow.
func (c *ServeCmd) refuseServices() error {
	if c.Follow == "" || c.source.Path == "" {
		return nil
	}
	file, _, err := readConfig(c.source, int64(c.MaxModule))
	if err == nil {
		err = refuseSpecs(file, c.Follow)
	}
	if err != nil {
		return c.source.explain(err)
	}
	c.source = source{} // its settings are applied, and it has no services to reload
	return nil
}

// refuseSpecs returns an error if the file declares services although its server follows a primary.
func refuseSpecs(file *configfile.File, primary string) error {
	if primary == "" || len(file.Specs()) == 0 {
		return nil
	}
	return fmt.Errorf("%s declares services, and a server that follows %s has only those of that: declare them there, or leave out --follow", file.Path, primary)
}
