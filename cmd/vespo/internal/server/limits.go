package server

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/ratelimit"
)

// LimitSettings are the settings of rate limits that several hosts share, as a part of Config.
type LimitSettings struct {
	Limits string `name:"limits" placeholder:"URL" env:"VESPO_LIMITS" help:"Engine of the rate limits, such as redis://host (vespo-cluster alone). Without it, each host counts for itself."`

	OpenLimits ratelimit.Opener `kong:"-"` // nil: this program has no engines
}

// check returns the violations of the settings.
func (s *LimitSettings) check() (violations problem.Violations) {
	if s.Limits != "" && s.OpenLimits == nil {
		violations.Add("limits", unsupported)
	}
	return violations
}

// strings returns the settings that are given as flags, one per line.
func (s *LimitSettings) strings() string { return engineFlag("limits", s.Limits) }

// openLimits opens the engine of the rate limits if there is one, and shares them by it.
func (c *core) openLimits(ctx context.Context, list *parts.List, cfg *Config, log *slog.Logger) error {
	if cfg.Limits == "" {
		return nil
	}
	return openSharing(ctx, list, "the engine of the rate limits", func(ctx context.Context) (io.Closer, func(context.Context), error) {
		opened, err := cfg.OpenLimits(ctx, ratelimit.Options{URL: cfg.Limits, Password: os.Getenv(ratelimit.PasswordVariable), Log: log})
		if err != nil {
			return nil, nil, err
		}
		c.sharing = ratelimit.NewSharing(opened)
		return opened, c.sharing.Run, nil
	})
}
