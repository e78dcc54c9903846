package server

import (
	"context"
	"log/slog"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/audit"
)

// openAudit opens the audit log.
func (c *core) openAudit(ctx context.Context, list *parts.List, log *slog.Logger) error {
	return list.Open(ctx, parts.Part{
		Name: "the audit log",
		Data: true,
		Open: func(context.Context) error {
			dir := c.store.AuditDir()
			if err := durable.MkdirAll(dir); err != nil {
				return err
			}
			opened, err := audit.Open(audit.Config{FS: durable.Dir(dir)})
			if err != nil {
				return err
			}
			c.audit = &admin.Auditor{Kinds: Kinds(), Log: opened, Report: log}
			return nil
		},
		Close: func(context.Context) error { return c.audit.Log.Close() },
	})
}
