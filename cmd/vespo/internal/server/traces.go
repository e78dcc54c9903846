package server

import (
	"context"
	"log/slog"
	"os"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/tracing"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/version"
)

// openTraces opens the export of spans, if the environment configures one. The server serves without it if it cannot be
// opened.
func (c *core) openTraces(ctx context.Context, list *parts.List, cfg *Config, log *slog.Logger) error {
	lookup := cfg.environment
	if lookup == nil {
		lookup = os.LookupEnv
	}
	settings := tracing.Read(lookup)
	for _, text := range settings.Warnings {
		log.Warn("a setting of traces is wrong: " + text)
	}
	if settings.Endpoint == "" {
		return nil
	}
	traces, err := tracing.Open(ctx, settings, version.Read().Version, log)
	if err != nil {
		log.Warn("requests are not traced", "error", err)
		return nil
	}
	c.traces = traces
	log.Info("requests are traced", "endpoint", settings.Endpoint, "service", settings.Service)
	return list.Open(ctx, parts.Part{
		Name:  "the export of traces",
		Run:   func(context.Context) error { traces.Run(); return nil },
		Close: traces.Close,
	})
}
