package server

import (
	"context"
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
	return o.newServer(ctx, cfg, release).serve(ctx, func(_ context.Context, s *server) error {
		s.handler = extension.Handler
		s.work = func(ctx context.Context) error { return extension.Work(ctx, s.core.deployer) }
		return nil
	})
}
