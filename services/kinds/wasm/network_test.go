package wasm_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestRequestsOfGoItselfAreExplained checks what the owner of a guest learns that makes requests by net/http alone, without
// the SDK: one line in the log for each version, and a warning in its status.
func TestRequestsOfGoItselfAreExplained(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/x", guests.Go(t, "gonethttp"))
	require.Equal(t, "hello a\n", s.get("/x/hello/a").Body)
	before := s.Status("/x").Warnings
	require.NotContains(t, s.Log.String(), "no network")
	for range 3 {
		require.Contains(t, s.get("/x/dial").Body, "lookup example.com")
	}
	require.Equal(t, 1, strings.Count(s.Log.String(), "a guest has no network of its own"))
	require.Regexp(t, `level=WARN msg="the guest looks up a host name itself.* vespohttp\.Transport .*service=/x`, s.Log.String())
	require.Len(t, s.Status("/x").Warnings, len(before)+1)
}

// TestRequestsOfGoItselfFailWithAHint checks the errors in a guest with the SDK's nethttp, and that each request logs
// one line.
func TestRequestsOfGoItselfFailWithAHint(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/x", guests.Internal(t, "dial"))
	for range 2 {
		lines := strings.Split(strings.TrimSpace(s.get("/x").Body), "\n")
		require.Len(t, lines, 5)
		for _, line := range lines {
			if strings.HasPrefix(line, "address: ") {
				require.Contains(t, line, "Connection refused", "no name is looked up")
				continue
			}
			require.Contains(t, line, "vespohttp.Transport", line)
		}
	}
	log := s.Log.String()
	require.Equal(t, 2, strings.Count(log, `line="the look-up of a host name has failed: a guest has no network of its own`), log)
	require.Contains(t, log, `level=WARN msg=guest service=/x`)
}
