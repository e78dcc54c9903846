package server

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/observe/journal"
	"github.com/vespo-dev/vespo/services/observe/rolling"
)

// logsDir is the directory of the logs of services, in the data directory.
const logsDir = "logs"

// observer keeps the statistics and the logs of services.
type observer struct {
	rolling *rolling.Rolling              // immutable
	journal *journal.Journal              // set by openJournal; nil if no logs are kept
	routing atomic.Pointer[router.Router] // nil until there is one
}

func newObserver() *observer { return &observer{rolling: rolling.New()} }

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
			o.journal.Run(running, o.known)
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

// listener returns the listener of requests.
func (o *observer) listener() accesslog.Listener {
	if o.journal == nil {
		return o.rolling.Listen
	}
	return accesslog.Tee(o.rolling.Listen, o.journal.Listen)
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

// forgets returns the callbacks by which removed services are forgotten.
func (o *observer) forgets() deploy.Events {
	return deploy.Events{Removed: func(key routekey.Key) {
		o.rolling.Forget(key.String())
		if o.journal != nil {
			o.journal.Forget(key.String())
		}
	}}
}

// part returns the work in the background of statistics.
func (o *observer) part() parts.Part {
	return parts.Part{Name: "the statistics", Run: func(ctx context.Context) error { o.rolling.Run(ctx, o.known); return nil }}
}

// known returns the names of all services; nil if they are not known yet.
func (o *observer) known() map[string]bool {
	if routing := o.routing.Load(); routing != nil {
		return namesIn(routing.Table())
	}
	return nil
}

// namesIn returns the names of the services in a table; nil if it is nil.
func namesIn(table *router.Table) map[string]bool {
	if table == nil {
		return nil
	}
	routes := table.Routes()
	names := make(map[string]bool, len(routes))
	for _, r := range routes {
		names[r.Service] = true
	}
	return names
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
