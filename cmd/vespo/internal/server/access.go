package server

import (
	"io"
	"log/slog"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/logs"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// access returns the access listener for cfg. By default, a log for eyes has the short lines among its own.
func (o *Outputs) access(cfg *Config) access {
	if cfg.AccessLog == "auto" && o.form == logs.Eyes {
		short := accesslog.Short(logs.Lines(o.Log.Handler(), slog.LevelInfo))
		return access{listener: accesslog.Tee(short, accesslog.NewFailures(o.Log).Listen), dropped: o.dropped}
	}
	return access{listener: accessListener(cfg, o.out.Gathering(), o.Log), dropped: o.dropped}
}

// accessListener returns the listener for cfg, which writes records to out. If records are off, or in
// a format that has no field for the cause of a failure, failed requests go to the log.
func accessListener(cfg *Config, out io.Writer, log *slog.Logger) accesslog.Listener {
	switch cfg.AccessLog {
	case "text":
		return accesslog.Text(out)
	case "json":
		return accesslog.JSON(out)
	}
	failures := accesslog.NewFailures(log).Listen
	switch cfg.AccessLog {
	case "short":
		return accesslog.Tee(accesslog.Short(out), failures)
	case "common":
		return accesslog.Tee(accesslog.Common(out), failures)
	}
	return failures
}
