package kv

import (
	"context"
	"io"
	"log/slog"
)

// Engine is Stores in an engine that several hosts may share.
type Engine interface {
	Stores
	io.Closer
	// Totals returns the last known state. It does not wait for the engine.
	Totals() Totals
}

// Totals are those of all stores.
type Totals struct {
	Stores int
	Usage
	Away bool // the engine could not be used at the last attempt
}

// Options are those of an engine.
type Options struct {
	URL      string
	Password string // empty: the URL names a file, or there is none
	Quotas   Quotas
	Log      *slog.Logger
}

// PasswordVariable is the variable of the environment with the password of an engine.
const PasswordVariable = "VESPO_KV_PASSWORD"

// Opener opens the engine at a URL.
type Opener func(ctx context.Context, o Options) (Engine, error)
