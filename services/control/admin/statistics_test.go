package admin_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/observe/rolling"
	"github.com/vespo-dev/vespo/services/observe/tally/tallytest"
)

// statsOf decodes an answer of stats to the statistics of its services.
func statsOf(t *testing.T, a answer) (all []map[string]any) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	var view struct{ Services []map[string]any }
	require.NoError(t, json.Unmarshal([]byte(a.body), &view), a.body)
	return view.Services
}

func TestStatistics(t *testing.T) {
	counted := tallytest.New(t)
	st := start(t, setup{admin: admin.Config{Statistics: rolling.New(counted.Tally), Slots: func() admin.Slots { return admin.Slots{Total: 4, Used: 1} }}})
	require.Equal(t, http.StatusCreated, st.add("a", "one").status)
	require.Equal(t, http.StatusCreated, st.add("b", "two").status)
	generation := st.get("/services/inspect?prefix=b").service(t).Generation
	for range 3 {
		counted.Listen(&accesslog.Record{
			Service:    "/b",
			Generation: generation,
			Number:     1,
			Version:    "sha256:00",
			TTLB:       10 * time.Millisecond,
			BytesOut:   7,
			Result:     accesslog.Result{Outcome: accesslog.OutcomeTrap, PeakBytes: 1 << 16, GuestTime: time.Millisecond, DirtyBytes: 4096},
			Failed:     true,
		})
	}
	a := st.get("/services/stats")
	require.Contains(t, a.body, `"slots":{"total":4,"used":1,`)
	all := statsOf(t, a)
	require.Len(t, all, 2)
	require.Equal(t, "/a", all[0]["prefix"])
	require.Equal(t, "ready", all[0]["state"])
	require.Empty(t, all[0]["versions"])
	require.NotContains(t, all[0], "series")

	b := all[1]
	for _, span := range []string{"10s", "1m", "10m", "1h"} {
		w, ok := b["windows"].(map[string]any)[span].(map[string]any)
		require.True(t, ok, a.body)
		require.InEpsilon(t, 10_000, w["p99_us"], 0.13)
		for _, name := range []string{"seconds", "rate", "p50_us", "p95_us", "p99_us"} {
			require.Positive(t, w[name], name)
			delete(w, name)
		}
		require.Equal(t, map[string]any{"requests": 3.0, "errors": 3.0, "outcomes": map[string]any{"trap": 3.0}, "mean_us": 10_000.0,
			"guest_us": 3_000.0, "bytes_in": 0.0, "bytes_out": 21.0, "peak_bytes": 65536.0, "resident_bytes": 4096.0}, w)
	}
	version := b["versions"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"sha256:00", float64(generation), 1.0}, []any{version["digest"], version["generation"], version["number"]})
	require.Contains(t, version["windows"], "1h")
}

func TestStatisticsOfOneServiceWithSeries(t *testing.T) {
	st := start(t, setup{admin: admin.Config{Statistics: rolling.New(tallytest.New(t).Tally)}})
	require.Equal(t, http.StatusCreated, st.add("a", "one").status)
	require.Equal(t, http.StatusCreated, st.add("b", "two").status)
	a := st.get("/services/stats?prefix=b&series=true")
	all := statsOf(t, a)
	require.Len(t, all, 1)
	require.Equal(t, "/b", all[0]["prefix"])
	series := all[0]["series"].(map[string]any)
	require.Equal(t, 5.0, series["interval"])
	for _, name := range []string{"requests", "errors", "p50_us", "p99_us", "peak_bytes"} {
		require.Len(t, series[name], rolling.Points, name)
	}
	require.NotContains(t, a.body, "slots")
}

func TestStatisticsAreRefused(t *testing.T) {
	st := start(t, setup{})
	for query, want := range map[string]problem.Kind{
		"?prefix=nothing":      problem.NotFound,
		"?match=Host:%20a":     problem.BadRequest,
		"?series=maybe":        problem.BadRequest,
		"?prefix=a&generation": problem.BadRequest,
	} {
		a := st.get("/services/stats" + query)
		require.Equal(t, want.Status(), a.status, query+a.body)
	}
	guarded := start(t, setup{admin: admin.Config{Token: "secret"}})
	require.Equal(t, http.StatusUnauthorized, guarded.get("/services/stats").status)
}
