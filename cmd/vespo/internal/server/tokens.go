package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/tokens"
)

// openTokens opens the tokens of the management API.
func (c *core) openTokens(ctx context.Context, list *parts.List, cfg *Config, log *slog.Logger) error {
	var store *tokens.Store
	return list.Open(ctx, parts.Part{
		Name: "the tokens",
		Data: true,
		Open: func(context.Context) error {
			dir := c.store.TokensDir()
			if err := durable.MkdirAll(dir); err != nil {
				return err
			}
			opened, damage, err := tokens.OpenStore(durable.Dir(dir))
			if err != nil {
				return err
			}
			if damage != nil {
				log.Error("the tokens of the management API are lost: create them again", "error", damage)
			}
			store = opened
			c.authority = tokens.New(tokens.Config{AdminToken: cfg.AdminToken, Store: store})
			return nil
		},
		Run: func(ctx context.Context) error {
			store.Run(ctx, func(err error) {
				log.Warn("the times at which tokens were last used could not be stored", "error", err)
			})
			return nil
		},
		Close: func(context.Context) error { return store.Close() },
	})
}

// weak returns a violation of --admin-token, or "". A token that other machines can try has a minimum length.
func (c *Config) weak() string {
	n := len(c.AdminToken)
	for _, addr := range [...]string{c.Listen, c.AdminListen} {
		host, _, err := net.SplitHostPort(addr)
		if n > 0 && n < tokens.MinAdminBytes && err == nil && !loopbackHost(host) {
			return fmt.Sprintf("has %d bytes, and other machines reach %s: use at least %d, such as those of \"openssl rand -hex 16\"",
				n, addr, tokens.MinAdminBytes)
		}
	}
	return ""
}

// manageable reports whether management answers on a listener at addr.
func (s *server) manageable(addr net.Addr) bool {
	return admin.Enabled(addr, s.cfg.AdminToken) || len(s.core.authority.Store().List()) > 0
}
