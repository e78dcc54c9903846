package admin_test

import (
	"context"
	"encoding/csv"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/observe/usage"
)

// ledger answers with rows and keeps the last query.
type ledger struct {
	rows []usage.Row
	err  error
	last usage.Query
}

func (l *ledger) Read(_ context.Context, q usage.Query) ([]usage.Row, error) {
	l.last = q
	return l.rows, l.err
}

func TestUsage(t *testing.T) {
	sums := &ledger{rows: []usage.Row{{
		Begin:   time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC),
		Service: "/a Host: b, c",
		Version: 3,
		Unit:    1,
		Memory:  1.5,
		Sums:    usage.Sums{Requests: 4, Failed: 1, GuestTime: 2500 * time.Microsecond, Work: 77, BytesIn: 5, BytesOut: 6},
	}}}
	st := start(t, setup{admin: admin.Config{Usage: sums}})
	a := st.get("/services/usage?since=2026-11-28T13:30:00Z&until=2026-11-29&by=day&versions=true&prefix=a&match=Host:b")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.JSONEq(t, `{"since": "2026-11-28T00:00:00Z", "until": "2026-11-29T00:00:00Z", "by": "day", "rows": [{
		"begin": "2026-11-28T00:00:00Z", "service": "/a Host: b, c", "version": 3, "requests": 4, "failed": 1, "guest_seconds": 0.0025,
		"work": 77, "work_unit": 1, "memory_mib_seconds": 1.5, "bytes_in": 5, "bytes_out": 6}]}`, a.body)
	require.Equal(t, "/a Host: b", sums.last.Service)
	require.True(t, sums.last.Versions)
	require.True(t, sums.last.Visible("/a"))

	a = st.get("/services/usage?format=csv")
	lines, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"2026-11-28T00:00:00Z", "/a Host: b, c", "3", "4", "1", "0.002500", "77", "1", "1.500000", "5", "6"}, lines[1])
	require.Equal(t, usage.Day, sums.last.By)

	for query, want := range map[string]string{
		"since=yesterday":                  "is not a time",
		"by=year":                          "must be hour or day or month",
		"format=xml":                       "must be json or csv",
		"since=2026-02-01&until=2026-01":   "is before since",
		"match=Host:b":                     "prefix",
		"nonsense=1":                       "nonsense",
		"prefix=/services":                 "services",
		"since=2026-02-01&since=2026-02-0": "since",
	} {
		a := st.get("/services/usage?" + query)
		require.Equal(t, http.StatusBadRequest, a.status, query)
		require.Contains(t, a.body, want)
	}
	sums.err = usage.ErrTooMany
	require.Equal(t, http.StatusBadRequest, st.get("/services/usage").status)
}
