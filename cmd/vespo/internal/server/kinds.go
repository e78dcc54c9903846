package server

import (
	"context"
	"log/slog"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/kinds/redirect"
	"github.com/vespo-dev/vespo/services/kinds/static"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
)

// offered is one kind of service of a server.
type offered struct {
	describe func() schema.Kind
	make     func(*making) services.Kind
	admitted admittance
}

// table lists the kinds of services. A new kind is one line here.
func table() []offered {
	return []offered{
		{wasm.Description, func(m *making) services.Kind { return m.core.kind }, bySlots},
		{describeModules, (*making).modules, bySlots},
		{proxy.Description, (*making).proxies, byConnections},
		{static.Description, (*making).files, byConnections},
		{redirect.Description, func(*making) services.Kind { return redirect.New() }, byConnections},
		{function.Description, func(m *making) services.Kind { return m.functions }, byConnections},
		{queue.Description, func(m *making) services.Kind { return m.queues }, byQueues},
	}
}

// Kinds describes the kinds of services that a server has, with the fields that all have.
func Kinds() schema.Kinds {
	var all schema.Kinds
	for _, k := range table() {
		all = append(all, k.describe())
	}
	return all.With(schema.Shared()...)
}

// making is what the kinds of a server are made from.
type making struct {
	cfg       *Config
	core      *core
	log       *slog.Logger
	functions *function.Kind
	queues    *queue.Kind
}

// makeKinds returns all kinds. The kind for modules is open already.
func (c *core) makeKinds(ctx context.Context, list *parts.List, cfg *Config, dataDir string, catalogue *registry.Registry, log *slog.Logger) ([]services.Kind, error) {
	m := &making{
		cfg:    cfg,
		core:   c,
		log:    log,
		queues: c.newQueues(cfg, log),
	}
	err := list.Open(ctx, parts.Part{
		Name:  "the queues",
		Data:  true,
		Close: func(context.Context) error { return m.queues.Close() },
	})
	if err != nil {
		return nil, err
	}
	if m.functions, err = openFunctions(ctx, list, cfg, dataDir, catalogue, log); err != nil {
		return nil, err
	}
	c.sources.Queues, c.sources.Functions = m.queues, m.functions
	var kinds []services.Kind
	for _, k := range table() {
		kinds = append(kinds, k.make(m))
	}
	return kinds, nil
}

func describeModules() schema.Kind { return function.ModulesDescription(wasm.FunctionDescription()) }

func (m *making) modules() services.Kind {
	return function.NewModules(m.functions, m.core.kind.Functions())
}

func (m *making) proxies() services.Kind {
	kind := proxy.New(proxy.Config{
		Timeout:      m.cfg.Timeout,
		MaxBodyBytes: int64(m.cfg.MaxBody),
		Tunnels:      m.cfg.tunnels(),
		PerClient:    m.cfg.PerClient.of(m.cfg.tunnels()),
		TunnelIdle:   m.cfg.TunnelIdle,
	})
	m.core.sources.Proxies = kind
	return kind
}

func (m *making) files() services.Kind {
	return static.New(static.Config{Root: m.core.root, Log: m.log})
}

// admittance is what the requests of a kind are admitted by.
type admittance int

const (
	// bySlots is for guests: a request needs a slot.
	bySlots admittance = iota
	// byConnections is for requests that need no slot: a WebSocket may last for days, and a slow upstream must
	// not keep guests waiting. Such a request costs a connection, a buffer or two and a file descriptor.
	byConnections
	// byQueues is for requests that wait in a queue, so that they must not wait before. Queues without
	// workers must not take all connections.
	byQueues
)

// admissions returns the admission of the kinds whose requests need no slot.
func admissions(cfg *Config) map[string]deploy.Admission {
	half := max(1, cfg.MaxConnections/2)
	own := map[admittance]deploy.Admission{
		byConnections: {
			Gate: admission.NewGate(cfg.MaxConnections),
			Limits: admission.Limits{
				Concurrency: max(1, cfg.MaxConnections*3/4),
				Queue:       cfg.Queue,
				Wait:        cfg.QueueWait,
				Shares:      cfg.shares(cfg.MaxConnections),
			},
		},
		byQueues: {
			Gate:   admission.NewGate(half),
			Limits: admission.Limits{Concurrency: half, Shares: cfg.shares(half)},
		},
	}
	all := make(map[string]deploy.Admission)
	for _, k := range table() {
		if k.admitted != bySlots {
			all[k.describe().Name] = own[k.admitted]
		}
	}
	return all
}

// awayAdmission returns the admission of requests that are passed to other hosts: as for those of proxies.
func awayAdmission(own map[string]deploy.Admission) deploy.Admission {
	return own[proxy.Description().Name]
}
