package wasm_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestSettledGuest compares a guest of the SDK with itself without the export that prepares its memory for requests.
func TestSettledGuest(t *testing.T) {
	s := newServer(t, wasm.Config{})
	settled := guests.SDK(t, "json")
	other := bytes.ReplaceAll(settled, []byte(engine.SnapshotExport), []byte("vespo_snapshoT"))
	require.NotEqual(t, settled, other)
	with, without := serveOnce(t, s.add("/with", settled), "/with"), serveOnce(t, s.add("/without", other), "/without")
	t.Logf("work %d and not %d, dirty %d KiB and not %d", with.Work, without.Work, with.DirtyBytes>>10, without.DirtyBytes>>10)
	// By how much the work differs depends on whether the heap of the other one has to grow.
	require.Less(t, with.Work, without.Work)
	if without.DirtyBytes > 0 { // this kernel measures it
		require.Less(t, with.DirtyBytes, without.DirtyBytes*3/4)
	}
}

func serveOnce(t *testing.T, d services.Deployment, prefix string) (res accesslog.Result) {
	t.Helper()
	r := &router.Request{
		Request:  httptest.NewRequest("GET", prefix+"/items", nil),
		Prefix:   prefix,
		Rest:     "/items",
		Arrived:  time.Now(),
		Admitted: time.Now(),
	}
	r.Header.Set("Accept", "application/json")
	w := httptest.NewRecorder()
	require.NoError(t, d.Serve(w, r, &res))
	require.Equal(t, http.StatusOK, w.Code)
	return res
}
