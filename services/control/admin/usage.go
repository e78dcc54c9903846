package admin

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/observe/usage"
	"github.com/vespo-dev/vespo/services/schema"
)

// Usage has the sums of what services cost; *usage.Ledger implements it.
type Usage interface {
	Read(context.Context, usage.Query) ([]usage.Row, error)
}

// Fields of a request for sums.
const (
	fieldUntil    = "until"
	fieldBy       = "by"
	fieldVersions = "versions"
	fieldFormat   = "format"
)

// usageSince is how far back the sums go unless the request has a time.
const usageSince = 30 * 24 * time.Hour

// usageView is the JSON form of sums.
type usageView struct {
	Since time.Time      `json:"since"`
	Until time.Time      `json:"until"`
	By    usage.Period   `json:"by"`
	Rows  []usageRowView `json:"rows"`
}

// usageRowView is the JSON form of the sums of a service, or of a version, in a period.
type usageRowView struct {
	Begin         time.Time `json:"begin"`
	Service       string    `json:"service"`
	Version       uint64    `json:"version,omitempty"`
	Requests      uint64    `json:"requests"`
	Failed        uint64    `json:"failed"`
	GuestSeconds  float64   `json:"guest_seconds"`
	Work          int64     `json:"work"`
	WorkUnit      int       `json:"work_unit"`
	MemorySeconds float64   `json:"memory_mib_seconds"`
	BytesIn       int64     `json:"bytes_in"`
	BytesOut      int64     `json:"bytes_out"`
}

func usageFields() []schema.Field {
	return append(fields.KeyFields(),
		schema.Field{Name: fieldSince, Type: schema.Text},
		schema.Field{Name: fieldUntil, Type: schema.Text},
		schema.Field{Name: fieldBy, Type: schema.Text, Choices: []string{string(usage.Hour), string(usage.Day), string(usage.Month)}},
		schema.Field{Name: fieldVersions, Type: schema.Bool},
		schema.Field{Name: fieldFormat, Type: schema.Text, Choices: []string{"json", "csv"}},
	)
}

// usage answers with the sums of one service or of all that the caller may see, also of removed ones.
func (h *Handler) usage(w http.ResponseWriter, r *http.Request) error {
	f := bodilessFields(r, usageFields()...)
	q := usageQuery(f)
	if err := f.Err(); err != nil {
		return err
	}
	q.Visible = func(service string) bool {
		key, err := routekey.Parse(service)
		return err == nil && mayRead(r, key)
	}
	view := usageView{Since: q.Since, Until: q.Until, By: q.By, Rows: []usageRowView{}}
	if h.cfg.Usage != nil {
		rows, err := h.cfg.Usage.Read(r.Context(), q)
		if errors.Is(err, usage.ErrTooMany) {
			return problem.Newf(problem.BadRequest, "the answer would have more than %d rows: ask for a shorter time, a longer period or one service", usage.MaxRows)
		}
		if err != nil {
			return err
		}
		for _, row := range rows {
			view.Rows = append(view.Rows, usageRowOf(row))
		}
	}
	if f.Text(fieldFormat) == "csv" {
		return h.answerCSV(w, view.Rows)
	}
	return h.answer(w, http.StatusOK, view)
}

// usageQuery returns the query of a request. Sums are those of whole periods.
func usageQuery(f *fields.Input) usage.Query {
	now := time.Now().UTC()
	q := usage.Query{By: usage.Day, Until: now, Since: now.Add(-usageSince), Versions: f.Bool(fieldVersions)}
	if by, given := f.Value(fieldBy).(string); given {
		q.By = usage.Period(by)
	}
	f.Value(fieldFormat)
	for name, at := range map[string]*time.Time{fieldSince: &q.Since, fieldUntil: &q.Until} {
		if f.Has(name) {
			*at = f.Time(name, now)
		}
	}
	if q.Since = q.By.Begin(q.Since); q.Until.Before(q.Since) {
		f.Violate(fieldUntil, "is before since")
	}
	if f.Has(fields.Prefix) || f.Has(fields.Match) {
		q.Service = f.Key().String()
	}
	return q
}

func usageRowOf(row usage.Row) usageRowView {
	return usageRowView{
		Begin:         row.Begin,
		Service:       row.Service,
		Version:       row.Version,
		Requests:      row.Sums.Requests,
		Failed:        row.Sums.Failed,
		GuestSeconds:  row.Sums.GuestTime.Seconds(),
		Work:          row.Sums.Work,
		WorkUnit:      row.Unit,
		MemorySeconds: row.Memory,
		BytesIn:       row.Sums.BytesIn,
		BytesOut:      row.Sums.BytesOut,
	}
}

// answerCSV sends rows as CSV (RFC 4180) with a header.
func (h *Handler) answerCSV(w http.ResponseWriter, rows []usageRowView) error {
	var body bytes.Buffer
	out := csv.NewWriter(&body)
	_ = out.Write([]string{"begin", "service", "version", "requests", "failed", "guest_seconds", "work", "work_unit", "memory_mib_seconds", "bytes_in", "bytes_out"})
	for _, row := range rows {
		_ = out.Write([]string{
			row.Begin.Format(time.RFC3339),
			row.Service,
			orEmpty(row.Version),
			strconv.FormatUint(row.Requests, 10),
			strconv.FormatUint(row.Failed, 10),
			strconv.FormatFloat(row.GuestSeconds, 'f', 6, 64),
			strconv.FormatInt(row.Work, 10),
			strconv.Itoa(row.WorkUnit),
			strconv.FormatFloat(row.MemorySeconds, 'f', 6, 64),
			strconv.FormatInt(row.BytesIn, 10),
			strconv.FormatInt(row.BytesOut, 10),
		})
	}
	out.Flush()
	return h.answerAs(w, http.StatusOK, "text/csv; charset=utf-8; header=present", body.Bytes())
}

func orEmpty(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}
