package wasm_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// A panic of TinyGo is a message on standard output and a trap. It ends like a panic of Go: the message is in the log, as an
// error, and never in the answer.
func TestPanicsOfTinyGo(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 2})
	s.add("/handler", guests.Wat(t, "tinypanic"))
	s.add("/command", guests.Wat(t, "tinypaniccgi"))
	for i, path := range []string{"/handler", "/command", "/handler"} {
		a := s.get(path)
		require.Equal(t, 500, a.StatusCode)
		require.Contains(t, a.Body, "problems/guest-exit")
		require.Contains(t, a.Body, "the service exited with code 2")
		require.NotContains(t, a.Body, "a5f0")
		rec := s.Records.Nth(i + 1)
		require.Equal(t, accesslog.Outcome("exit"), rec.Outcome)
		require.ErrorContains(t, rec.Err, "unreachable", "the place of the trap")
	}
	log := s.Log.String()
	for line := range strings.Lines(log) {
		if strings.Contains(line, "a5f0") || strings.Contains(line, "second line") {
			require.Contains(t, line, "level=ERROR")
		}
	}
	require.Equal(t, 3, strings.Count(log, `line="panic: session a5f0"`))
	require.Equal(t, 2, strings.Count(log, `line="second line, too"`))

	a := s.do("POST", "/handler", "")
	require.Contains(t, a.Body, "problems/trap", "a trap without a message, in the same module")
}
