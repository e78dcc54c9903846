package admin_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/tokens"
)

// reportOf asks for the report of a request to the service, with header fields given as name and value.
func (st *stack) reportOf(path string, fields ...string) (a answer, report string) {
	st.t.Helper()
	r := st.request(http.MethodGet, path, "", nil)
	r.Header.Set("Vespo-Report", "1")
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
		if fields[i] == "Host" {
			r.Host = fields[i+1]
		}
	}
	resp, err := st.RoundTrip(r)
	require.NoError(st.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(st.t, err)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}, resp.Trailer.Get("Vespo-Report")
}

// TestReportsAreForWhoMayRead checks that reports follow the rule of the API, and that the Authorization of a request is the
// service's own.
func TestReportsAreForWhoMayRead(t *testing.T) {
	// Without a token: programs on this machine.
	g := startGuarded(t, setup{}, "")
	g.add("a", "one")
	_, report := g.reportOf("/a")
	require.Contains(t, report, `outcome="ok", status=200`)
	require.Contains(t, report, `service="/a", version_number=1`)
	for _, fields := range [][]string{
		{"Origin", "http://127.0.0.1"},
		{"X-Forwarded-For", "192.0.2.1"},
		{"Vespo-Caller", "/b"},
		{"Host", "a.example"},
		{"Vespo-Token", "vespo_wrong"},
	} {
		if fields[0] == "Vespo-Token" {
			fields[1] = g.create("other", "deploy:/b")
		}
		a, report := g.reportOf("/a", fields...)
		p := a.problem(t, problem.Forbidden)
		require.Contains(t, p.Detail, "Vespo-Report", fields)
		require.Empty(t, report, fields)
	}
	a, _ := g.reportOf("/services/list") // the API has no reports, and the fields change nothing
	require.Equal(t, http.StatusOK, a.status, a.body)
	r := g.request(http.MethodGet, "/services/list", "", nil)
	r.Header.Set("Vespo-Token", "x")
	require.Equal(t, http.StatusOK, g.do(r).status)

	// On a listener that other machines reach: a token alone.
	g = startGuarded(t, setup{listener: publicListener}, "correct horse battery")
	made, _, err := g.store.Create(tokens.Request{Name: "admin", Scopes: mustScopes(t, "admin")})
	require.NoError(t, err)
	add := g.request(http.MethodPost, "/services/add?prefix=a", "application/wasm", strings.NewReader(magic+"one"))
	add.Header.Set("Authorization", "Bearer "+made)
	require.Equal(t, http.StatusCreated, g.do(add).status)
	for scope, may := range map[string]bool{"read": true, "deploy:/a": true, "deploy:/b": false} {
		token, _, err := g.store.Create(tokens.Request{Name: strings.NewReplacer(":", "-", "/", "-").Replace(scope), Scopes: mustScopes(t, scope)})
		require.NoError(t, err)
		a, report := g.reportOf("/a", "Vespo-Token", token, "Host", "a.example")
		require.Equal(t, may, a.status == http.StatusOK, a.body)
		require.Equal(t, may, report != "", scope)
		a, report = g.reportOf("/a", "Authorization", "Bearer "+token)
		a.problem(t, problem.Forbidden)
		require.Empty(t, report)
		a, _ = g.reportOf("/a", "Vespo-Token", token, "Vespo-Token", token)
		a.problem(t, problem.Forbidden)
	}
	_, report = g.reportOf("/a", "Vespo-Token", "correct horse battery")
	require.NotEmpty(t, report)

	// Wrong tokens are limited as those of the API are.
	limited := false
	for range 1000 {
		a, _ := g.reportOf("/a", "Vespo-Token", "wrong horse battery")
		if limited = a.status == http.StatusTooManyRequests; limited {
			break
		}
		a.problem(t, problem.Forbidden)
	}
	require.True(t, limited)
	require.Equal(t, http.StatusOK, g.get("/a").status)
}
