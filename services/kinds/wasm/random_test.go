package wasm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestNoRequestRepeatsSecrets serves guests that draw random numbers during initialisation. They
// may repeat only if the owner requested a snapshot, and then the owner must get a warning.
func TestNoRequestRepeatsSecrets(t *testing.T) {
	const requests = 20
	const drawn = "draws random numbers while it is initialised, which a snapshot would repeat in every request"
	for _, c := range []struct {
		name, isolation     string
		module              []byte
		different           int
		wantIsolation, want string // expected Status: the isolation, and the reason or warning
	}{
		{"seeded once", "", guests.Wat(t, "token"), requests, wasm.IsolationFresh, drawn},
		{"seeded once, fresh", wasm.IsolationFresh, guests.Wat(t, "token"), requests, wasm.IsolationFresh, ""},
		{"seeded once, snapshot", wasm.IsolationSnapshot, guests.Wat(t, "token"), 1, wasm.IsolationSnapshot, "every request may return the same tokens"},
		{"asks the host", "", guests.Wat(t, "tokenhost"), requests, wasm.IsolationSnapshot, ""},
		{"Go without the SDK", "", guests.Go(t, "gohello"), 1, wasm.IsolationSnapshot, "pseudo-random numbers, such as those of math/rand"},
		{"Go with the SDK", "", guests.SDK(t, "hello"), 1, wasm.IsolationSnapshot, ""},
		{"no random numbers", "", guests.Wat(t, "hello"), 1, wasm.IsolationSnapshot, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, keepsSnapshots(t, wasm.Config{Slots: 2, CacheDir: t.TempDir()}))
			d := s.add("/x", c.module, servicetest.WithIsolation(c.isolation))
			different := map[string]bool{}
			for n := range requests {
				if n%5 == 4 {
					require.NoError(t, d.Scale(t.Context(), services.EvictCode))
				}
				a := s.get("/x")
				require.Equal(t, 200, a.StatusCode)
				different[a.Body] = true
			}
			require.Len(t, different, c.different)
			require.Equal(t, c.wantIsolation == wasm.IsolationSnapshot, s.kind.Stats().Recalled > 0, "from the snapshot on disk, too")
			status := d.Status()
			require.Equal(t, c.wantIsolation, status.Isolation)
			require.Equal(t, c.want == drawn, status.FreshReason != "")
			if c.want == "" || c.want == drawn {
				require.Empty(t, status.Warnings)
				return
			}
			require.Len(t, status.Warnings, 1)
			require.Contains(t, status.Warnings[0], c.want)
			require.Contains(t, s.Log.String(), c.want, "the log has it too")
		})
	}
}

// TestWarningsOfMiddleware checks that the owner of a service learns of middleware that may repeat secrets.
func TestWarningsOfMiddleware(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 2})
	s.add("/x", guests.Wat(t, "hello"),
		servicetest.WithIsolation(wasm.IsolationSnapshot), servicetest.WithMiddleware(nil, guests.Wat(t, "token")))
	warnings := s.Status("/x").Warnings
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "middleware 1: the module draws random numbers")
}
