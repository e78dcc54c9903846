package ratelimit

import (
	"context"
	"log/slog"
	"time"
)

// Cost is what a host has admitted for a key since it last told the engine.
type Cost struct {
	Key  Key
	Time time.Duration // the period of a request, for each request
}

// Engine keeps the times of keys for several hosts. It logs when it can no longer be used, and when it can be again.
type Engine interface {
	// Spend adds the costs to the times of their keys, and returns how far ahead of now each is then: 0 for a full burst.
	// After an error, all or some of the costs may have been added.
	Spend(ctx context.Context, costs []Cost) (ahead []time.Duration, err error)
	// Close ends all calls. It is called once.
	Close() error
}

// Options are those of an Opener.
type Options struct {
	URL      string
	Password string // of PasswordVariable; empty: there is none
	Log      *slog.Logger
}

// PasswordVariable is the variable of the environment with the password of an engine.
const PasswordVariable = "VESPO_LIMITS_PASSWORD"

// Opener opens the engine at a URL. One that does not answer is no error: it is used as soon as it does.
type Opener func(ctx context.Context, o Options) (Engine, error)
