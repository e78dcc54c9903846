package server

import (
	"context"
	"log/slog"
	"os"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/queues"
)

// QueueSettings are the settings of queues that several hosts share, as a part of Config.
type QueueSettings struct {
	Queues string `name:"queues" placeholder:"URL" env:"VESPO_QUEUES" help:"Engine of the durable queues and of accepted events of functions, such as postgres://user@host/database (vespo-cluster alone). Without it, they are in --data."`

	OpenQueues queues.Opener `kong:"-"` // nil: this program has no engines
}

// check returns the violations of the settings.
func (s *QueueSettings) check() (violations problem.Violations) {
	if s.Queues != "" && s.OpenQueues == nil {
		violations.Add("queues", unsupported)
	}
	return violations
}

// strings returns the settings that are given as flags, one per line.
func (s *QueueSettings) strings() string { return engineFlag("queues", s.Queues) }

// openShared opens the engine of the queues if there is one.
func (c *core) openShared(ctx context.Context, list *parts.List, cfg *Config, log *slog.Logger) error {
	if cfg.Queues == "" {
		return nil
	}
	var opened queues.Engine
	return list.Open(ctx, parts.Part{
		Name: "the engine of the queues",
		Data: true,
		Open: func(ctx context.Context) (err error) {
			opened, err = cfg.OpenQueues(ctx, queues.Options{URL: cfg.Queues, Password: os.Getenv(queues.PasswordVariable), Log: log})
			c.shared = opened
			return err
		},
		Close: func(context.Context) error { return opened.Close() },
	})
}

// sharedQueues returns the engine as a store of queues, or nil.
func (c *core) sharedQueues() queues.Store {
	if c.shared == nil {
		return nil
	}
	return c.shared
}
