package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/vespo-dev/vespo/services/control/deploy"
)

// Extension is what a command adds to the server that it runs.
type Extension struct {
	Handler func(next http.Handler) http.Handler // wraps the public handler
	// Work runs while the server serves, until its context ends. Its error ends the server.
	Work func(ctx context.Context, d *deploy.Deployer) error
}

// Run runs a server with an extension until ctx ends. release restores
// the default handling of signals: the next one ends the process.
func Run(ctx context.Context, cfg *Config, o *Outputs, release context.CancelFunc, extension Extension) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dirs, err := makeDirs(cfg)
	if err != nil {
		return err
	}
	parts, err := wire(ctx, cfg, dirs.data, o.Log, o.access(cfg))
	if err != nil {
		return errors.Join(err, dirs.close())
	}
	parts.http.Handler = extension.Handler(parts.http.Handler)
	srv := &server{cfg: cfg, parts: parts, dirs: dirs, drainTimeout: drainTimeout, release: release, streams: o.Streams, log: o.Log}
	var failed error // written by the server's goroutine; read when the server has ended
	srv.work = func(ctx context.Context) {
		failed = extension.Work(ctx, parts.deployer)
		cancel(failed)
	}
	return errors.Join(srv.run(ctx), failed, dirs.close())
}
