package server

import (
	"context"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/observe/rolling"
)

// observer keeps what people want to know about services.
type observer struct {
	rolling *rolling.Rolling // immutable
}

func newObserver() *observer { return &observer{rolling: rolling.New()} }

// forgets returns the callbacks by which removed services are forgotten.
func (o *observer) forgets() deploy.Events {
	return deploy.Events{Removed: func(key routekey.Key) { o.rolling.Forget(key.String()) }}
}

// part returns the work in the background.
func (o *observer) part(routing *router.Router) parts.Part {
	known := func() map[string]bool { return namesIn(routing.Table()) }
	return parts.Part{Name: "the statistics", Run: func(ctx context.Context) error { o.rolling.Run(ctx, known); return nil }}
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
