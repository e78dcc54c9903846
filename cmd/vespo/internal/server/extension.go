package server

import (
	"context"
	"net"
	"net/http"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// Extension is what a command adds to the server that it runs. Each field may be nil.
type Extension struct {
	// Open opens what the command needs, before all other parts. It may complete the configuration.
	Open    func(ctx context.Context, list *parts.List) error
	Handler func(next http.Handler) http.Handler // wraps the public handler
	Access  accesslog.Listener                   // is called in addition to that of the configuration
	// Announce is called with the address of the public listener once it is served. Without it, the server prints the address.
	Announce func(net.Addr)
	// Work runs while the server serves, until its context ends. Its error ends the server.
	Work func(ctx context.Context, d *deploy.Deployer) error
}

// Run runs a server with an extension until ctx ends. release restores
// the default handling of signals: the next one ends the process.
func Run(ctx context.Context, cfg *Config, o *Outputs, release context.CancelFunc, extension Extension) error {
	srv := o.newServer(ctx, cfg, release)
	srv.before, srv.announce = extension.Open, extension.Announce
	srv.access.listener = accesslog.Tee(srv.access.listener, extension.Access)
	return srv.serve(ctx, func(_ context.Context, s *server) error {
		s.handler = extension.Handler
		if extension.Work != nil {
			s.work = func(ctx context.Context) error { return extension.Work(ctx, s.core.deployer) }
		}
		return nil
	})
}
