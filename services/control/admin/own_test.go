package admin_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/admin"
)

const consoleURL = "http://127.0.0.1:8081/services/ui/"

// startOwn starts a stack on an admin listener.
func startOwn(t *testing.T, token string) *stack {
	t.Helper()
	return start(t, setup{admin: admin.Config{Token: token}, own: true})
}

func (st *stack) getWith(path string, header ...string) answer {
	r := st.request(http.MethodGet, path, "", nil)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	return st.do(r)
}

func TestConsoleIsOnAdminListenersAlone(t *testing.T) {
	st := startOwn(t, "")
	page := st.get("/services/ui/")
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, page.body, "<!DOCTYPE html>")
	require.Contains(t, page.header.Get("Content-Security-Policy"), "script-src 'self'")
	require.Equal(t, http.StatusOK, st.get("/debug/pprof/heap").status)
	require.Equal(t, http.StatusOK, st.get("/services").status)
	st.get("/services/ui/none.js").problem(t, problem.NotFound)
	st.post("/services/ui/", "", "").problem(t, problem.MethodNotAllowed)

	public := start(t, setup{admin: admin.Config{ConsoleURL: func() string { return consoleURL }}})
	for _, path := range []string{"/services/ui", "/services/ui/"} {
		a := public.get(path)
		require.Equal(t, http.StatusFound, a.status, path)
		require.Equal(t, consoleURL, a.header.Get("Location"))
		require.NotContains(t, a.body, "<script")
	}
	without := start(t, setup{})
	p := without.get("/services/ui/").problem(t, problem.NotFound)
	require.Contains(t, p.Detail, "--admin-listen")
}

// TestURLWhereAllAddressesListen checks that the URL of a service has the host by which the client has reached the server.
func TestURLWhereAllAddressesListen(t *testing.T) {
	for public, want := range map[string]string{
		"https://[::]:8443":     `"url":"https://127.0.0.1:8443/x"`,
		"https://0.0.0.0:8443":  `"url":"https://127.0.0.1:8443/x"`,
		"http://192.0.2.1:8080": `"url":"http://192.0.2.1:8080/x"`,
	} {
		st := start(t, setup{own: true, admin: admin.Config{PublicURL: func() string { return public }}})
		a := st.post("/services/add", "application/json", `{"prefix":"x","upstream":["http://127.0.0.1:1"]}`)
		require.Equal(t, http.StatusCreated, a.status, a.body)
		require.Contains(t, a.body, want)
	}
	st := start(t, setup{own: true, admin: admin.Config{PublicURL: func() string { return "" }}})
	require.NotContains(t, st.post("/services/add", "application/json", `{"prefix":"x","upstream":["http://127.0.0.1:1"]}`).body, `"url"`)
}

// TestStrangersSeeNoConsole checks that clients that may not manage do not learn of the console.
func TestStrangersSeeNoConsole(t *testing.T) {
	cfg := admin.Config{Token: "correct horse", ConsoleURL: func() string { return consoleURL }}
	st := start(t, setup{admin: cfg, listener: publicListener})
	a := st.get("/services/ui/")
	a.problem(t, problem.NotFound)
	require.NotContains(t, a.body, "8081")
	require.Equal(t, http.StatusFound, st.getWith("/services/ui/", "Authorization", "Bearer correct horse").status)

	local := start(t, setup{admin: cfg})
	require.Equal(t, http.StatusFound, local.get("/services/ui/").status, "a user of this machine types the address without a token")
	local.getWith("/services/ui/", "Sec-Fetch-Site", "same-origin").problem(t, problem.NotFound)
	local.getWith("/services/ui/", "Host", "evil.example").problem(t, problem.NotFound)
	local.getWith("/services/ui/", "X-Forwarded-For", "192.0.2.1").problem(t, problem.NotFound)
}

// TestPagesOfAdminListeners checks that without a token, pages of the listener itself may use the API, and that no
// other page may, whatever way it takes.
func TestPagesOfAdminListeners(t *testing.T) {
	st := startOwn(t, "")
	own := "http://" + st.request(http.MethodGet, "/", "", nil).Host
	for _, c := range []struct {
		name   string
		header []string
		ok     bool
	}{
		{"the console", []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"the console changes", []string{"Sec-Fetch-Site", "same-origin", "Origin", own}, true},
		{"the console in an older browser", []string{"Origin", own}, true},
		{"a URL that a user typed", []string{"Sec-Fetch-Site", "none"}, true},
		{"a page of a service, on another port", []string{"Sec-Fetch-Site", "same-site"}, false},
		{"the same, with its origin", []string{"Origin", "http://127.0.0.1:8080"}, false},
		{"a page elsewhere", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, false},
		{"a frame in a sandbox", []string{"Sec-Fetch-Site", "same-origin", "Origin", "null"}, false},
		{"a name that leads here", []string{"Host", "evil.example", "Sec-Fetch-Site", "same-origin"}, false},
		{"the same, with its origin", []string{"Host", "evil.example:8081", "Origin", "http://evil.example:8081"}, false},
		{"a proxy", []string{"Via", "1.1 x"}, false},
	} {
		for _, path := range []string{"/services", "/debug/pprof/heap"} {
			a := st.getWith(path, c.header...)
			if c.ok {
				require.Equal(t, http.StatusOK, a.status, c.name)
				continue
			}
			a.problem(t, problem.Forbidden)
		}
	}
	st.getWith("/services/ui/", "Host", "evil.example").problem(t, problem.Forbidden)
	require.Equal(t, http.StatusOK, st.getWith("/services/ui/", "Sec-Fetch-Site", "cross-site").status, "a link to the console")
}

func TestAdminListenerWithToken(t *testing.T) {
	st := startOwn(t, "correct horse")
	require.Equal(t, http.StatusOK, st.getWith("/services/ui/", "Host", "vespo.example.com").status)
	for _, path := range []string{"/services", "/debug/pprof/heap"} {
		st.get(path).problem(t, problem.Unauthorized)
		st.getWith(path, "Sec-Fetch-Site", "same-origin").problem(t, problem.Unauthorized)
		a := st.getWith(path, "Sec-Fetch-Site", "same-origin", "Authorization", "Bearer correct horse", "Host", "vespo.example.com")
		require.Equal(t, http.StatusOK, a.status)
	}
}
