package outbound

import (
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
)

func TestParseAllow(t *testing.T) {
	a, violations := ParseAllow([]string{
		"https://API.example.com", "http://localhost:9000/", "http://127.0.0.1:81", "https://[::1]:8443", "10.1.2.3/16", "http://b.a.vespo.internal",
	})
	require.Empty(t, violations)
	require.Equal(t, []string{
		"https://api.example.com:443", "http://localhost:9000", "http://127.0.0.1:81", "https://[::1]:8443", "http://b.a.vespo.internal:80",
	}, a.origins)
	for host, addrs := range map[string]map[string]bool{
		"api.example.com": {"127.0.0.1": false, "::1": false, "10.1.200.1": true, "::ffff:10.1.0.1": true, "10.2.0.1": false,
			"192.168.0.1": false, "169.254.169.254": false, "fe80::1": false, "8.8.8.8": true},
		"localhost":      {"127.0.0.1": true, "127.9.9.9": true, "::1": true, "10.1.0.1": true, "10.2.0.1": false},
		"LocalHost.":     {"127.0.0.1": true},
		"a.localhost":    {"127.0.0.1": true},
		"localhost.test": {"127.0.0.1": false},
		"127.0.0.1":      {"127.0.0.1": true, "127.0.0.2": false, "::ffff:127.0.0.1": true, "::1": false},
		"::1":            {"::1": true, "127.0.0.1": false},
	} {
		for addr, granted := range addrs {
			require.Equal(t, granted, a.policy(host).Check(netip.MustParseAddr(addr)) == nil, "%s at %s", host, addr)
		}
	}
	require.Len(t, a.blocks, 1, "a policy leaves the list alone")
}

func TestAllowedOriginsAreCompared(t *testing.T) {
	a, violations := ParseAllow([]string{"https://api.example.com", "http://x:8080"})
	require.Empty(t, violations)
	for uri, allowed := range map[string]bool{
		"https://api.example.com/a?b":       true,
		"https://API.EXAMPLE.COM:443/":      true,
		"https://api.example.com.:443/":     true,
		"http://api.example.com/":           false,
		"https://api.example.com:444/":      false,
		"https://api.example.com.evil.org/": false,
		"https://evil.org/api.example.com":  false,
		"https://evil.org#api.example.com":  false,
		"http://x/":                         false,
		"http://x:8080/":                    true,
		"http://xx:8080/":                   false,
	} {
		u, err := url.Parse(uri)
		require.NoError(t, err)
		origin, _, err := originOf(u)
		require.NoError(t, err)
		require.Equal(t, allowed, a.allows(origin), uri)
	}
}

func TestRefusedEntries(t *testing.T) {
	for _, entry := range []string{
		"", "example.com", "ftp://x", "http://", "https://*.example.com", "https://x/path", "https://x?q", "https://u:p@x", "http://x:port",
		"10.0.0.0/99", "http://vespo.internal", "http://services.vespo.internal", "http://a..vespo.internal", "mailto:x@y",
	} {
		_, violations := ParseAllow([]string{entry})
		require.Len(t, violations, 1, "%q", entry)
	}
	_, violations := ParseAllow(make([]string, MaxGrants+1))
	require.Len(t, violations, 1)
}

func TestInternalNames(t *testing.T) {
	for host, want := range map[string]routekey.Prefix{"a.vespo.internal": "/a", "c.b.a.vespo.internal": "/a/b/c"} {
		got, err := internalPrefix(host)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func FuzzParseAllow(f *testing.F) {
	for _, entry := range []string{"https://a.b", "10.0.0.0/8", "http://a.vespo.internal", "http://[::1%25eth0]:1", "https://x:99999"} {
		f.Add(entry)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		a, violations := ParseAllow([]string{entry})
		if len(violations) > 0 {
			return
		}
		for _, origin := range a.origins {
			u, err := url.Parse(origin)
			require.NoError(t, err, "an accepted origin is a URL")
			again, _, err := originOf(u)
			require.NoError(t, err)
			require.Equal(t, origin, again, "and canonical")
		}
	})
}
