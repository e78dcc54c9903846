package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/audit"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/identity"
	"github.com/vespo-dev/vespo/services/schema"
)

// fieldAfter names the field of requests for the audit log that no other request has.
const fieldAfter = "after"

// maxAuditPage is the most entries of one answer.
const maxAuditPage = 1000

// Auditor records changes in an audit log. It implements deploy.Auditor. It is immutable.
type Auditor struct {
	Kinds schema.Kinds
	Log   *audit.Log
	// Report receives failures of the log that refuse no change.
	Report *slog.Logger
}

// Begin implements deploy.Auditor. The configuration file is carried out without a log, too: a server must start and
// serve with a full disk.
func (a *Auditor) Begin(ctx context.Context, changes []deploy.ServiceChange) (end func(error), err error) {
	entries := make([]audit.Entry, 0, len(changes))
	for _, c := range changes {
		e := audit.EntryFor(ctx)
		e.Subject, e.Before, e.After = c.Key.String(), audit.StateOf(c.Before), audit.StateOf(c.After)
		if e.Before != nil && e.After != nil {
			e.Changes = a.changesOf(c)
		}
		if e.Action == "" {
			e.Action = actionOf(e, c)
		}
		entries = append(entries, e)
	}
	return a.begin(ctx, entries...)
}

// actionOf names a change that no request of the management API has asked for.
func actionOf(e audit.Entry, c deploy.ServiceChange) string {
	switch {
	case e.Before == nil:
		return "add"
	case e.After == nil:
		return "remove"
	case e.By.Kind == identity.KindServer && c.Before.Canary.Running() && !c.After.Canary.Running():
		return "canary"
	}
	return "replace"
}

// begin writes the first entries of changes that belong together.
func (a *Auditor) begin(ctx context.Context, entries ...audit.Entry) (end func(error), err error) {
	note(ctx)
	for _, e := range entries {
		e.Result = audit.ResultBegun
		err := a.Log.Append(e)
		if err == nil {
			continue
		}
		a.Report.Error("the audit log cannot be written", "action", e.Action, "subject", e.Subject, "error", err)
		if e.By.Kind != identity.KindFile && e.By.Kind != identity.KindServer {
			return nil, problem.New(problem.InsufficientStorage, "the audit log cannot be written, so no change is made").WithCause(err)
		}
	}
	return func(failure error) {
		for _, e := range entries {
			e.Result = audit.ResultOK
			if failure != nil {
				e.Result, e.Detail = audit.ResultFailed, reasonOf(failure)
			}
			if err := a.Log.Append(e); err != nil {
				a.Report.Error("the outcome of a change could not be written into the audit log",
					"action", e.Action, "subject", e.Subject, "result", e.Result, "error", err)
			}
		}
	}, nil
}

// audited makes a change that is not one of the catalogue. subject is the token, store or service that it concerns.
func (h *Handler) audited(r *http.Request, subject string, change func() error) error {
	if h.cfg.Audit == nil {
		return change()
	}
	e := audit.EntryFor(r.Context())
	e.Subject = subject
	end, err := h.cfg.Audit.begin(r.Context(), e)
	if err != nil {
		return err
	}
	err = change()
	end(err)
	return err
}

// noted is what the log needs to know of a request that is refused.
type noted struct {
	begun   bool   // the request has an entry
	subject string // the service that it concerns, if the query does not have it
}

type notedKey struct{}

func note(ctx context.Context) {
	if n, ok := ctx.Value(notedKey{}).(*noted); ok {
		n.begun = true
	}
}

// noteSubject names the service of a request.
func noteSubject(ctx context.Context, subject string) {
	if n, ok := ctx.Value(notedKey{}).(*noted); ok {
		n.subject = subject
	}
}

// watched calls a handler for a request of a caller. A change that was refused before it began has an entry, too.
func (h *Handler) watched(r *http.Request, call func(*http.Request) error) error {
	if h.cfg.Audit == nil || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return call(r)
	}
	n := &noted{}
	r = r.WithContext(context.WithValue(r.Context(), notedKey{}, n))
	err := call(r)
	if err != nil && !n.begun && !errors.Is(err, context.Canceled) {
		e := audit.EntryFor(r.Context())
		e.Detail = reasonOf(err)
		if e.Subject = n.subject; e.Subject == "" {
			if key, err := queryKey(r); err == nil {
				e.Subject = key.String()
			}
		}
		if err := h.cfg.Audit.Log.Refuse(e); err != nil {
			h.cfg.Audit.Report.Error("a refusal could not be written into the audit log", "action", e.Action, "error", err)
		}
	}
	return err
}

// auditView is the answer to a request for the log.
type auditView struct {
	Entries []json.RawMessage `json:"entries"`
	Next    uint64            `json:"next"` // for after
}

// auditLog answers with entries of the audit log, oldest first.
func (h *Handler) auditLog(w http.ResponseWriter, r *http.Request) error {
	if h.cfg.Audit == nil {
		return problem.New(problem.NotFound, "this server has no audit log")
	}
	in := bodilessFields(r,
		schema.Field{Name: fieldSince, Type: schema.Text},
		schema.Field{Name: fieldAfter, Type: schema.Count},
		schema.Field{Name: fieldLimit, Type: schema.Count})
	q := audit.Query{Limit: maxAuditPage}
	if n, given := in.Value(fieldLimit).(int64); given {
		q.Limit = int(min(max(n, 1), maxAuditPage))
	}
	if n, given := in.Value(fieldAfter).(int64); given && n > 0 {
		q.After = uint64(n)
	}
	if in.Has(fieldSince) {
		q.Since = in.Time(fieldSince, time.Now())
	}
	if err := in.Err(); err != nil {
		return err
	}
	lines, next, err := h.cfg.Audit.Log.Page(q)
	if err != nil {
		return err
	}
	if lines == nil {
		lines = []json.RawMessage{}
	}
	return h.answer(w, http.StatusOK, auditView{Entries: lines, Next: next})
}
