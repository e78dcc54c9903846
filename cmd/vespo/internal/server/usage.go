package server

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/observe/usage"
)

// openUsage opens the sums of what services cost. They are written for the last time after the services have closed.
func (c *core) openUsage(ctx context.Context, list *parts.List, log *slog.Logger) error {
	return list.Open(ctx, parts.Part{
		Name: "the usage of services",
		Data: true,
		Open: func(context.Context) (err error) {
			dir := c.store.UsageDir()
			if err := durable.MkdirAll(dir); err != nil {
				return err
			}
			c.usage, err = usage.Open(usage.Config{
				Path:  filepath.Join(dir, "hours.db"),
				Tally: c.observer.tally,
				Unit:  wasm.WorkUnit,
				Log:   log,
			})
			return err
		},
		Run:   func(ctx context.Context) error { c.usage.Run(ctx); return nil },
		Close: func(context.Context) error { return c.usage.Close() },
	})
}
