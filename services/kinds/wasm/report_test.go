package wasm_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestReportsOfGuests checks the reports of guests for each outcome, and that no guest sees who asks.
func TestReportsOfGuests(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/headers", guests.Go(t, "headers"))
	s.add("/oom", guests.Wat(t, "oom"), servicetest.WithMemory(1<<20))
	s.add("/trap", guests.Wat(t, "secret"))
	s.add("/work", guests.Wat(t, "spin"), servicetest.WithWorkLimit(1_000_000))
	s.add("/late", guests.Wat(t, "spin"), servicetest.WithTimeout(50*time.Millisecond))
	for i, c := range []struct{ path, outcome string }{
		{"/headers", "ok"},
		{"/oom/10", "ok"},
		{"/oom/9000", "out of memory"},
		{"/trap", "trap"},
		{"/work/" + spinners[0], "work limit"},
		{"/late/" + spinners[0], "deadline"},
		{"/headers", "ok"},
	} {
		for _, transport := range []http.RoundTripper{s.client.Transport, s.HTTP2()} {
			a, err := servicetest.SendOver(transport, s.Request("POST", c.path, strings.NewReader("Trap, with 16 bytes and more"), "Vespo-Report: 1", "Vespo-Token: secret"))
			require.NoError(t, err)
			report := a.Trailer.Get("Vespo-Report")
			require.Contains(t, report, `outcome="`+c.outcome+`"`, "%d %s", i, a.Body)
			require.Regexp(t, `start="(warm|restored|cold)", work=\d+, work_unit=2, guest_us=\d+, .*peak_bytes=\d+`, report)
			require.NotContains(t, a.Body, "secret")
			require.NotContains(t, a.Body, "Vespo")
			require.NotContains(t, a.Body, "vespo-")
			if c.path == "/headers" {
				require.NotEmpty(t, a.Trailer.Get("X-Trailer"))
			}
		}
	}
}
