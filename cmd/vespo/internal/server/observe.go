package server

import (
	"context"
	"log/slog"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/observe/journal"
	"github.com/vespo-dev/vespo/services/observe/rolling"
	"github.com/vespo-dev/vespo/services/observe/tally"
)

// logsDir is the directory of the logs of services, in the data directory.
const logsDir = "logs"

// observer keeps the counts, the statistics and the logs of services.
type observer struct {
	tally   *tally.Tally     // immutable
	rolling *rolling.Rolling // immutable
	journal *journal.Journal // set by openJournal; nil if no logs are kept
}

func newObserver() *observer {
	o := &observer{}
	o.tally = tally.New(o.journalOf)
	o.rolling = rolling.New(o.tally)
	return o
}

// journalOf returns the listener that logs the requests of a service; nil if no logs are kept.
func (o *observer) journalOf(service string) accesslog.Listener {
	if o.journal == nil {
		return nil
	}
	return o.journal.Of(service)
}

// openJournal opens the logs of services, and returns log with a handler that also adds to them.
func (o *observer) openJournal(ctx context.Context, list *parts.List, cfg *Config, dir string, log *slog.Logger) (*slog.Logger, error) {
	if cfg.LogSize == 0 {
		return log, nil
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // it outlives the requests of the drain
	err := list.Open(ctx, parts.Part{
		Name: "the logs of services",
		Data: true,
		Open: func(context.Context) (err error) {
			o.journal, err = journal.Open(journal.Config{
				Dir:          dir,
				ServiceBytes: int64(cfg.LogSize),
				TotalBytes:   int64(cfg.LogTotal),
				Log:          log,
			})
			return err
		},
		Run: func(context.Context) error {
			o.journal.Run(running, o.tally.Names)
			return o.journal.Close()
		},
		Close: func(context.Context) error { stop(); return nil },
	})
	if err != nil {
		stop()
		return nil, err
	}
	return slog.New(o.journal.Handler(log.Handler())), nil
}

// logs returns the logs of services; nil if none are kept.
func (o *observer) logs() admin.Logs {
	if o.journal == nil {
		return nil // not a *journal.Journal that is nil
	}
	return o.journal
}

// stopFollowers ends requests that follow logs.
func (o *observer) stopFollowers() {
	if o.journal != nil {
		o.journal.StopFollowers()
	}
}

// forgets returns the callbacks by which the logs of removed services are forgotten.
func (o *observer) forgets() deploy.Events {
	return deploy.Events{Removed: func(key routekey.Key) {
		if o.journal != nil {
			o.journal.Forget(key.String())
		}
	}}
}

// part returns the work in the background of statistics.
func (o *observer) part() parts.Part {
	return parts.Part{Name: "the statistics", Run: func(ctx context.Context) error { o.rolling.Run(ctx); return nil }}
}

// slots returns the state of the capacity that services share.
func (c *core) slots(gate *admission.Gate) func() admin.Slots {
	return func() admin.Slots {
		kind, shared := c.kind.Stats(), gate.Stats()
		return admin.Slots{
			Total:     kind.Slots,
			Used:      kind.Slots - kind.FreeSlots,
			SlotBytes: kind.SlotBytes,
			Warm:      kind.Pools.Warm,
			InFlight:  shared.InFlight,
			Waiting:   shared.Queued,
		}
	}
}
