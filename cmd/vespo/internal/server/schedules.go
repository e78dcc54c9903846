package server

import (
	"context"
	"log/slog"
	"time"
	_ "time/tzdata" // the time zones of schedules, for machines without them, such as small container images

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services/control/scheduler"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
)

// openSchedules opens the schedules, which run from openBackground on. Their runs are waited for after the services have
// closed, which cuts off those that would outlast the drain.
func (c *core) openSchedules(ctx context.Context, list *parts.List, cfg *Config, catalogue *registry.Registry, routing *router.Router, log *slog.Logger) error {
	return list.Open(ctx, parts.Part{
		Name: "the schedules",
		Data: true,
		Open: func(context.Context) (err error) {
			dir := c.store.SchedulesDir()
			if err := durable.MkdirAll(dir); err != nil {
				return err
			}
			var claim func(context.Context, string, time.Time) (bool, error)
			if c.node != nil {
				claim = c.node.Claim
			}
			c.schedules, err = scheduler.Open(scheduler.Config{
				Claim:      claim,
				Away:       c.deployer.Away,
				Catalogue:  catalogue,
				Dispatcher: routing,
				FS:         durable.Dir(dir),
				Functions:  []string{function.KindName, wasm.FunctionKindName},
				Runs:       cfg.scheduledRuns(),
				Now:        cfg.now,
				Log:        log,
			})
			return err
		},
		Close: func(ctx context.Context) error { return c.schedules.Close(ctx) },
	})
}

// scheduledRuns returns the number of runs of schedules at a time: a quarter of the slots, so that schedules for the same
// minute leave most to clients.
func (c *Config) scheduledRuns() int { return min(max(c.Slots/4, 2), 32) }

// timesPart returns the part that runs schedules when their time has come. A host that follows another one runs none: each
// host would run all of them.
func (c *core) timesPart() parts.Part {
	return parts.Part{
		Name: "the times of schedules",
		Run: func(ctx context.Context) error {
			if c.copied == nil {
				c.schedules.Run(ctx)
			}
			return nil
		},
	}
}
