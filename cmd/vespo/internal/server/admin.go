package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/console"
)

// adminOff is the value of --admin-listen for a server without an admin listener.
const adminOff = "off"

// adminName is the name of the admin listener's surface.
const adminName = "the admin server"

// maxAdmins is the most connections of the admin listener.
const maxAdmins = 256

// checkAdmin returns the violations in the flags of the admin listener.
func (c *Config) checkAdmin() (violations problem.Violations) {
	if c.AdminListen == "" || c.AdminListen == adminOff {
		return nil
	}
	host, _, _ := net.SplitHostPort(c.AdminListen)
	switch {
	case !validAddress(c.AdminListen):
		violations.Add("admin-listen", "is %q: write it like 127.0.0.1:9080, or off for none", c.AdminListen)
	case c.AdminToken == "" && !loopbackHost(host):
		violations.Add("admin-listen", "is %q, which other machines reach: set --admin-token, or give a loopback address such as 127.0.0.1:9080", c.AdminListen)
	}
	return violations
}

// adminOffset is far enough from --listen for those who give the next port to a second server.
const adminOffset = 1000

// adminDefault returns the address of the admin listener where --admin-listen does not name one: a loopback address, with
// the port that is adminOffset above that of --listen.
func adminDefault(listen string) string {
	host, port, _ := net.SplitHostPort(listen)
	if !loopbackHost(host) {
		host = defaultHost
	}
	n, err := net.LookupPort("tcp", port)
	if next := n + adminOffset; err == nil && n > 0 && next <= 1<<16-1 {
		return net.JoinHostPort(host, strconv.Itoa(next))
	}
	return net.JoinHostPort(host, "0")
}

// adminConnections returns the configuration of the admin listener at an address.
func (s *server) adminConnections(address string) conns.Config {
	cfg := s.cfg.connections("--admin-listen", s.log)
	cfg.MaxConnections = min(cfg.MaxConnections, maxAdmins)
	cfg.TLS = s.core.security.of(onAdmin, address, "h2", "http/1.1")
	cfg.Reserved, cfg.PerPeer = min(cfg.Reserved, cfg.MaxConnections/16), s.cfg.PerClient.of(cfg.MaxConnections)
	return cfg
}

// listenAdmin opens the admin listener, unless the configuration has none. Where --admin-listen is not given, the server
// does without its usual port, and without the listener.
func (s *server) listenAdmin(ctx context.Context) (*surface, error) {
	if s.cfg.AdminListen == adminOff {
		return nil, nil
	}
	open := func(address string) (*surface, error) {
		f := newSurface(adminName, s.core.admin, s.drainTimeout, s.log)
		f.server.BaseContext = func(l net.Listener) context.Context {
			return admin.WithAdminListener(context.Background(), l.Addr())
		}
		f.server.RegisterOnShutdown(s.core.unprofile)
		return f, f.open(ctx, s.list, address, s.adminConnections(address), false)
	}
	if s.cfg.AdminListen != "" {
		f, err := open(s.cfg.AdminListen)
		return s.announceAdmin(f, err)
	}
	usual := adminDefault(s.cfg.Listen)
	f, err := open(usual)
	host, port, _ := net.SplitHostPort(usual)
	if err != nil && port != "0" && ctx.Err() == nil {
		s.log.Info("the console takes a free port, as its usual one cannot be opened", "usual", usual, "error", err)
		f, err = open(net.JoinHostPort(host, "0"))
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("the server runs without a console", "error", err)
		return nil, nil
	}
	return s.announceAdmin(f, err)
}

// announceAdmin prints the address of the console.
func (s *server) announceAdmin(f *surface, err error) (*surface, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: %w", adminName, err)
	}
	address := f.listener.Addr()
	url := scheme(s.adminConnections(address.String()).TLS != nil) + "://" + Reachable(address) + console.Path
	s.core.console.Store(url)
	fmt.Fprintf(s.streams.Err, "console at %s\n", url)
	return f, nil
}

// newAdmin returns the handler of the admin listener.
func newAdmin(cfg *Config, management http.Handler, records accesslog.Listener) http.Handler {
	return router.New(router.Config{
		Admin:       management,
		AdminOnly:   true,
		AccessLog:   notable(records),
		HeaderBytes: int64(cfg.HeaderMemory),
	})
}

// notable passes on the records of changes and failures. A page that is open reads every few seconds, as a collector of
// metrics does, and such records would hide the rest of the log.
func notable(next accesslog.Listener) accesslog.Listener {
	if next == nil {
		return nil
	}
	return func(rec *accesslog.Record) {
		if rec.Status >= http.StatusBadRequest || rec.Method != http.MethodGet && rec.Method != http.MethodHead {
			next(rec)
		}
	}
}
