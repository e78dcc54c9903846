package server

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/regular"
)

// openData opens the other data that the server keeps and serves, and the export of traces.
func (c *core) openData(ctx context.Context, list *parts.List, cfg *Config, log *slog.Logger) error {
	if err := c.openRoot(ctx, list, cfg.Root); err != nil {
		return err
	}
	if err := c.openStores(ctx, list, cfg, log); err != nil {
		return err
	}
	if err := c.openShared(ctx, list, cfg, log); err != nil {
		return err
	}
	if err := c.openLimits(ctx, list, cfg, log); err != nil {
		return err
	}
	if err := c.openCache(ctx, list, cfg, log); err != nil {
		return err
	}
	if err := c.openAudit(ctx, list, log); err != nil {
		return err
	}
	if err := c.openTokens(ctx, list, cfg, log); err != nil {
		return err
	}
	if err := c.openUsage(ctx, list, log); err != nil {
		return err
	}
	return c.openTraces(ctx, list, cfg, log)
}

// openRoot opens the directory of mounts and static files, if there is one.
func (c *core) openRoot(ctx context.Context, list *parts.List, dir string) error {
	if dir == "" {
		return nil
	}
	return list.Open(ctx, parts.Part{
		Name: "the root directory",
		Open: func(context.Context) (err error) {
			if c.root, err = regular.OpenRoot(dir); err != nil {
				return fmt.Errorf("%w: %w", settingsError{problem.Violate("root", "is %q, which cannot be opened", dir)}, err)
			}
			return nil
		},
		Close: func(context.Context) error { return c.root.Close() },
	})
}
