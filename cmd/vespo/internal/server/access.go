package server

import (
	"io"
	"log/slog"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/logs"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// access returns the access listener for cfg. By default, a log for eyes has the short lines among its own.
func (o *Outputs) access(cfg *Config) access {
	a := access{dropped: o.dropped, outputs: o.stats}
	if cfg.AccessLog == "auto" && o.form == logs.Eyes {
		short := accesslog.Short(logs.Lines(o.Log.Handler(), slog.LevelInfo))
		a.failures = accesslog.NewFailures(o.Log)
		a.listener = accesslog.Tee(short, a.failures.Listen)
		return a
	}
	a.listener, a.failures = accessListener(cfg, o.out.Gathering(), o.Log)
	return a
}

// accessListener returns the listener for cfg, which writes records to out. If records are off, or in
// a format that has no field for the cause of a failure, failed requests go to the log by the result.
func accessListener(cfg *Config, out io.Writer, log *slog.Logger) (accesslog.Listener, *accesslog.Failures) {
	switch cfg.AccessLog {
	case "text":
		return accesslog.Text(out), nil
	case "json":
		return accesslog.JSON(out), nil
	}
	failures := accesslog.NewFailures(log)
	switch cfg.AccessLog {
	case "short":
		return accesslog.Tee(accesslog.Short(out), failures.Listen), failures
	case "common":
		return accesslog.Tee(accesslog.Common(out), failures.Listen), failures
	}
	return failures.Listen, failures
}
