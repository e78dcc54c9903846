package admin_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/admin"
)

var (
	loopbackListener = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	publicListener   = &net.TCPAddr{IP: net.IPv4zero, Port: 8080}
)

func TestAccessWithToken(t *testing.T) {
	const token = "correct horse"
	tests := []struct {
		name   string
		header []string
		ok     bool
	}{
		{"none", nil, false},
		{"right", []string{"Bearer correct horse"}, true},
		{"scheme in another case, two spaces", []string{"bEARER  correct horse"}, true},
		{"wrong", []string{"Bearer wrong horse"}, false},
		{"a part of it", []string{"Bearer correct hors"}, false},
		{"more than it", []string{"Bearer correct horses"}, false},
		{"empty", []string{"Bearer "}, false},
		{"nothing after the scheme", []string{"Bearer"}, false},
		{"another scheme", []string{"Basic correct horse"}, false},
		{"without scheme", []string{token}, false},
		{"twice", []string{"Bearer correct horse", "Bearer correct horse"}, false},
	}
	// A token is sufficient on every listener and required even on loopback.
	for _, listener := range []net.Addr{publicListener, loopbackListener} {
		st := start(t, setup{admin: admin.Config{Token: token}, listener: listener})
		for _, tt := range tests {
			t.Run(listener.String()+" "+tt.name, func(t *testing.T) {
				r := st.request(http.MethodGet, "/services", "", nil)
				r.Host = "vespo.example.com"
				for _, value := range tt.header {
					r.Header.Add("Authorization", value)
				}
				got := st.do(r)
				if tt.ok {
					require.Equal(t, http.StatusOK, got.status)
					return
				}
				p := got.problem(t, problem.Unauthorized)
				require.Contains(t, p.Detail, "--admin-token")
				require.Equal(t, `Bearer realm="vespo"`, got.header.Get("WWW-Authenticate"))
			})
		}
	}
}

func TestAccessWithoutTokenOnPublicListener(t *testing.T) {
	st := start(t, setup{listener: publicListener})
	for _, path := range []string{"/services", "/services/inspect?prefix=a", "/services/none"} {
		p := st.get(path).problem(t, problem.Forbidden)
		require.Contains(t, p.Detail, "--admin-token")
		require.Contains(t, p.Detail, "--listen")
	}
	st.add("a", "one").problem(t, problem.Forbidden)
	require.Zero(t, st.generation())
	require.Equal(t, http.StatusOK, st.get("/services/health").status)
	require.Equal(t, http.StatusOK, st.get("/services/ready").status)
}

// ask sends a request to a handler as if it came from remote through listener.
func ask(listener net.Addr, remote, host string, header http.Header) int {
	h := admin.New(admin.Config{})
	h.Attach(failed{})
	r := httptest.NewRequest(http.MethodGet, "/services", nil)
	r.RemoteAddr, r.Host = remote, host
	for name, values := range header {
		r.Header[name] = values
	}
	if listener != nil {
		r = r.WithContext(admin.WithListener(r.Context(), listener))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func TestAccessWithoutToken(t *testing.T) {
	const local = "127.0.0.1:1234"
	loopback6 := &net.TCPAddr{IP: net.IPv6loopback, Port: 8080}
	other := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9), Port: 8080}
	tests := []struct {
		name         string
		listener     net.Addr
		remote, host string
		header       http.Header
		ok           bool
	}{
		{"by name", loopbackListener, local, "localhost:8080", nil, true},
		{"by name in another case, without port", loopbackListener, local, "LocalHost", nil, true},
		{"by address", loopbackListener, local, "127.0.0.1:8080", nil, true},
		{"by another address of 127.0.0.0/8", other, "127.0.0.9:1", "127.0.0.9", nil, true},
		{"through a tunnel with another port", loopbackListener, local, "127.0.0.1:9999", nil, true},
		{"IPv6", loopback6, "[::1]:1234", "[::1]:8080", nil, true},
		{"IPv6 without port", loopback6, "[::1]:1234", "[::1]", nil, true},
		{"IPv4-mapped peer", loopback6, "[::ffff:127.0.0.1]:1234", "localhost", nil, true},

		{"rebound name", loopbackListener, local, "attacker.example:8080", nil, false},
		{"name below localhost", loopbackListener, local, "x.localhost:8080", nil, false},
		{"name that looks like an address", loopbackListener, local, "127.0.0.1.nip.io:8080", nil, false},
		{"no host", loopbackListener, local, "", nil, false},
		{"unspecified address", loopbackListener, local, "0.0.0.0:8080", nil, false},
		{"private address", loopbackListener, local, "192.168.0.1:8080", nil, false},

		{"public listener", publicListener, local, "localhost:8080", nil, false},
		{"private listener", &net.TCPAddr{IP: net.IPv4(192, 168, 0, 1)}, local, "localhost", nil, false},
		{"unmarked listener", nil, local, "localhost:8080", nil, false},
		{"listener without an address", &net.UnixAddr{Name: "/run/vespo.sock", Net: "unix"}, local, "localhost", nil, false},
		{"remote peer", loopbackListener, "192.0.2.1:1234", "localhost:8080", nil, false},
		{"peer without an address", loopbackListener, "@", "localhost:8080", nil, false},
		{"remote peer that claims to be local", loopbackListener, "192.0.2.1:1234", "localhost", http.Header{"X-Forwarded-For": {"127.0.0.1"}}, false},

		{"proxy", loopbackListener, local, "localhost", http.Header{"X-Forwarded-For": {"192.0.2.1"}}, false},
		{"proxy that claims a local client", loopbackListener, local, "localhost", http.Header{"X-Forwarded-For": {"127.0.0.1"}}, false},
		{"proxy of RFC 7239", loopbackListener, local, "localhost", http.Header{"Forwarded": {"for=127.0.0.1"}}, false},
		{"proxy with Via", loopbackListener, local, "localhost", http.Header{"Via": {"1.1 cache"}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := http.StatusForbidden
			if tt.ok {
				want = http.StatusOK
			}
			require.Equal(t, want, ask(tt.listener, tt.remote, tt.host, tt.header))
		})
	}
}

func TestAccessFromBrowsers(t *testing.T) {
	for _, token := range []string{"", "t"} {
		st := start(t, setup{admin: admin.Config{Token: token}})
		tests := []struct {
			name, header, value string
			withToken           bool // allowed if there is a token
			without             bool // allowed if there is none
		}{
			{"other site", "Sec-Fetch-Site", "cross-site", false, false},
			{"other port of this machine", "Sec-Fetch-Site", "same-site", false, false},
			{"old browser, other origin", "Origin", "https://attacker.example", false, false},
			{"sandboxed page", "Origin", "null", false, false},
			{"page of a service", "Sec-Fetch-Site", "same-origin", true, false},
			{"old browser, page of a service", "Origin", st.URL, true, false},
			{"typed in", "Sec-Fetch-Site", "none", true, true},
		}
		for _, tt := range tests {
			ok := token != "" && tt.withToken || token == "" && tt.without
			r := st.request(http.MethodPost, "/services/remove?prefix=a", "", nil)
			r.Header.Set(tt.header, tt.value)
			r.Header.Set("Authorization", "Bearer t")
			if ok {
				st.do(r).problem(t, problem.NotFound) // allowed, but there is no such service
			} else {
				require.Contains(t, st.do(r).problem(t, problem.Forbidden).Detail, "a page")
			}
			if token != "" {
				continue
			}
			r = st.request(http.MethodGet, "/services", "", nil)
			r.Header.Set(tt.header, tt.value)
			if got := st.do(r); ok {
				require.Equal(t, http.StatusOK, got.status, tt.name)
				require.Contains(t, got.header.Get("Content-Security-Policy"), "sandbox")
			} else {
				require.Contains(t, got.problem(t, problem.Forbidden).Detail, "--admin-token")
			}
			r = st.request(http.MethodGet, "/services/health", "", nil)
			r.Header.Set(tt.header, tt.value)
			require.Equal(t, http.StatusOK, st.do(r).status, tt.name)
		}
	}
}

func TestEnabled(t *testing.T) {
	require.True(t, admin.Enabled(loopbackListener, ""))
	require.True(t, admin.Enabled(publicListener, "t"))
	require.False(t, admin.Enabled(publicListener, ""))
	require.False(t, admin.Enabled(nil, ""))
}
