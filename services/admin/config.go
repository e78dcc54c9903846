package admin

import (
	"cmp"
	"context"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/deploy"
)

// Deployer is what carries the requests out: *deploy.Deployer. Errors that are or wrap a *problem.Problem are told to the client.
type Deployer interface {
	Ready() bool
	Progress() (done, total int)
	List() []deploy.Entry
	Inspect(registry.Prefix) (deploy.Entry, error)
	Change(context.Context, registry.Prefix, func(registry.Service) (services.Spec, error)) (deploy.Result, error)
	Blob(context.Context, registry.Digest) ([]byte, error)
	Remove(context.Context, registry.Prefix) error
	Rollback(context.Context, registry.Prefix) (deploy.Result, error)
	RollbackTo(context.Context, registry.Prefix, registry.Generation) (deploy.Result, error)
}

// Config is what a Handler is made of. A zero field takes its default; none may be negative.
type Config struct {
	Kind  string // of the services that are modules; default "wasm"
	Token string // that who manages must know; default none: only this machine manages

	MaxModuleBytes int64         // default 64 MiB
	StallTimeout   time.Duration // of an upload without a byte; default 15 s
	MinUploadRate  int64         // bytes a second that an upload must reach beyond the first StallTimeout; default 1024
	WriteTimeout   time.Duration // for an answer, from its first byte; default 30 s

	FetchTimeout        time.Duration // of a source; default 30 s
	AllowPrivateSources bool          // fetch from the own machine and from private networks too

	// Dropped returns the number of log and access records that were dropped since the start; nil: none ever is.
	Dropped func() int64

	MaxReads   int // list, inspect under way at a time; default 16
	MaxChanges int // add, remove, rollback under way at a time, each with up to MaxModuleBytes; default 8
}

func (c Config) withDefaults() Config {
	c.Kind = cmp.Or(c.Kind, "wasm")
	c.MaxModuleBytes = cmp.Or(c.MaxModuleBytes, 64<<20)
	c.StallTimeout = cmp.Or(c.StallTimeout, 15*time.Second)
	c.MinUploadRate = cmp.Or(c.MinUploadRate, 1024)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 30*time.Second)
	c.FetchTimeout = cmp.Or(c.FetchTimeout, 30*time.Second)
	c.MaxReads = cmp.Or(c.MaxReads, 16)
	c.MaxChanges = cmp.Or(c.MaxChanges, 8)
	return c
}
