package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestUsageSurvivesAKill kills a server several times. The sums that it has written stay, those of a removed service, too.
func TestUsageSurvivesAKill(t *testing.T) {
	const rounds, requests = 3, 20
	data := t.TempDir()
	for round := range rounds {
		p, c := launch(t, data)
		if round == 0 {
			_, err := post(t.Context(), c, "/hello", guests.Wat(t, "hello"))
			require.NoError(t, err)
		}
		for range requests {
			_, err := c.Get(t.Context(), "/hello", nil)
			require.NoError(t, err)
		}
		require.EqualValues(t, requests*(round+1), requestsOf(t, c, requests*(round+1)))
		if round == rounds-1 {
			_, err := c.Call(t.Context(), http.MethodPost, "/services/remove", url.Values{"prefix": {"/hello"}}, remote.Upload{})
			require.NoError(t, err)
		}
		p.kill()
	}
	_, c := launch(t, data)
	require.EqualValues(t, requests*rounds, requestsOf(t, c, requests*rounds))
}

// requestsOf reads the sums, which writes them, until they have the requests: a record follows its response.
func requestsOf(t *testing.T, c *remote.Client, want int) (n int) {
	t.Helper()
	for range 1000 {
		a, err := c.Get(t.Context(), "/services/usage", nil)
		require.NoError(t, err)
		var all struct {
			Rows []struct{ Requests, Work int }
		}
		require.NoError(t, json.Unmarshal(a.Body, &all))
		if n = 0; len(all.Rows) > 0 {
			require.Len(t, all.Rows, 1)
			require.Positive(t, all.Rows[0].Work)
			n = all.Rows[0].Requests
		}
		if n >= want {
			return n
		}
	}
	return n
}
