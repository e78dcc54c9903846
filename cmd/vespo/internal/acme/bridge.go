package acme

import (
	"context"
	"log/slog"

	"go.uber.org/zap/zapcore"
)

// bridge is the zap core that passes certmagic's records to a slog.Logger. What a user has to know is logged by
// Manager.note, so everything below a warning is for debugging.
type bridge struct{ log *slog.Logger }

// levelOf returns the slog level of a record.
func levelOf(level zapcore.Level) slog.Level {
	if level >= zapcore.WarnLevel && level != zapcore.ErrorLevel { // errors of attempts come with an event
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// Enabled implements zapcore.Core.
func (b bridge) Enabled(level zapcore.Level) bool {
	return b.log.Enabled(context.Background(), levelOf(level))
}

// With implements zapcore.Core.
func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{b.log.With(attributes(fields)...)}
}

// Check implements zapcore.Core.
func (b bridge) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return to.AddCore(e, b)
	}
	return to
}

// Write implements zapcore.Core.
func (b bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	b.log.Log(context.Background(), levelOf(e.Level), "certificates: "+e.Message, attributes(fields)...)
	return nil
}

// Sync implements zapcore.Core.
func (b bridge) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	encoded := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(encoded)
	}
	all := make([]any, 0, len(encoded.Fields))
	for name, value := range encoded.Fields {
		all = append(all, slog.Any(name, value))
	}
	return all
}
