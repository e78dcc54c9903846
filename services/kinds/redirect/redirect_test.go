package redirect_test

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/redirect"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestMain(m *testing.M) { os.Exit(servicetest.Main(m)) }

func serve(t *testing.T) *servicetest.Server {
	t.Helper()
	trust, err := forwarded.ParseTrust([]string{netip.MustParseAddr("127.0.0.1").String()})
	require.NoError(t, err)
	return servicetest.New(t, servicetest.Config{Router: router.Config{Trust: trust}}).Start(redirect.New())
}

func TestLocations(t *testing.T) {
	s := serve(t)
	for _, c := range []struct {
		key      string
		document redirect.Document
		path     string // with headers behind it, separated by spaces
		status   int
		location string
	}{
		{"/old", redirect.Document{Target: "https://new.example.com"}, "/old", 307, "https://new.example.com/"},
		{"/old", redirect.Document{Target: "https://new.example.com/", Permanent: true}, "/old/", 308, "https://new.example.com/"},
		{"/old", redirect.Document{Target: "http://new.example.com:81/base/"}, "/old/a%2Fb/c?x=1&y", 307, "http://new.example.com:81/base/a%2Fb/c?x=1&y"},
		{"/old", redirect.Document{Target: "https://a.example?from=old"}, "/old/x?y=2", 307, "https://a.example/x?from=old&y=2"},
		{"/old", redirect.Document{Target: "https://a.example/b", DropPath: true}, "/old/x?y", 307, "https://a.example/b?y"},
		{"/old", redirect.Document{Target: "https://a.example/b", DropQuery: true}, "/old/x?y", 307, "https://a.example/b/x"},
		{"/old", redirect.Document{Target: "https://a.example/b", DropPath: true, DropQuery: true, Permanent: true}, "/old/x?y", 308, "https://a.example/b"},
		{"/old", redirect.Document{Target: "https://a.example/b/"}, "/old?y", 307, "https://a.example/b/?y"},
		{"/old", redirect.Document{Target: "https://a.example/b/"}, "/old/", 307, "https://a.example/b/"},
		{"/old", redirect.Document{Target: "https://a.example/b/", DropPath: true}, "/old/x", 307, "https://a.example/b/"},
		{"/old", redirect.Document{Target: "/new"}, "/old/x", 307, "/new/x"},
		{"/", redirect.Document{Target: "/new"}, "/x", 307, "/new/x"},
		{"/old", redirect.Document{Target: "/"}, "/old/x", 307, "/x"},
		{"/old", redirect.Document{Target: "https://"}, "/old/x?y=1 Host:www.example.com:8080", 307, "https://www.example.com/old/x?y=1"},
		{"/old", redirect.Document{Target: "https://"}, "/old Host:[::1]:8080", 307, "https://[::1]/old"},
		{"/old", redirect.Document{Target: "https://", DropPath: true, DropQuery: true}, "/old/x?y Host:a.example", 307, "https://a.example/old"},
		{"/", redirect.Document{Target: "https://"}, "/x//y%2Fz/?q Host:a.example", 307, "https://a.example/x//y%2Fz/?q"},
		{"/", redirect.Document{Target: "https://", DropPath: true}, "/x Host:a.example", 307, "https://a.example/"},
		{"/old", redirect.Document{Target: "https://"}, "/old/x X-Forwarded-Host:outer.example X-Forwarded-Proto:http", 307, "https://outer.example/old/x"},
	} {
		s.Deploy(servicetest.Spec(redirect.KindName, c.key, c.document))
		parts := strings.Fields(c.path)
		var headers []string
		for _, h := range parts[1:] {
			headers = append(headers, strings.Replace(h, ":", ": ", 1))
		}
		a := s.Send("POST", parts[0], "body", headers...)
		require.Equal(t, c.status, a.StatusCode, c.path)
		require.Equal(t, c.location, a.Header.Get("Location"), "%+v", c)
		require.Empty(t, a.Body)
		require.NoError(t, s.Remove(t.Context(), routekey.MustParse(c.key)))
	}
}

// No path leads to a host that the owner has not named: browsers take // and /\ for the beginning of a host.
func TestPathsLeadToNoOtherHost(t *testing.T) {
	s := serve(t)
	base, err := url.Parse(s.URL)
	require.NoError(t, err)
	s.Deploy(servicetest.Spec(redirect.KindName, "/old", redirect.Document{Target: "/"}))
	for _, rest := range []string{"//evil.example", "///evil.example", `/\evil.example`, `\\evil.example`, "/%2Fevil.example", "/%5Cevil.example", "/@evil.example", "/.evil.example"} {
		a, ok := raw(t, s, "/old"+rest)
		if !ok {
			continue // refused by the HTTP server or the router
		}
		location := a.Header.Get("Location")
		if a.StatusCode != 307 {
			require.Empty(t, location)
			continue
		}
		require.False(t, strings.HasPrefix(location, "//") || strings.HasPrefix(location, `/\`), "%s -> %s", rest, location)
		to, err := base.Parse(location)
		require.NoError(t, err)
		require.Equal(t, base.Host, to.Host, "%s -> %s", rest, location)
	}
}

// raw sends a request with this exact target.
func raw(t *testing.T, s *servicetest.Server, target string) (*http.Response, bool) {
	t.Helper()
	conn, in := s.Dial()
	_, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: "+s.Addr+"\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, false
	}
	require.NoError(t, resp.Body.Close())
	return resp, true
}

func TestUpgradesThatCannotBe(t *testing.T) {
	s := serve(t)
	s.Deploy(servicetest.Spec(redirect.KindName, "/old", redirect.Document{Target: "https://"}))
	s.Get("/old", "X-Forwarded-Proto: https").RequireProblem(t, problem.NotFound) // else it would lead to itself
	rec := s.Records.First(func(r accesslog.Record) bool { return r.Prefix == "/old" })
	require.Equal(t, accesslog.OutcomeRefused, rec.Outcome)
	for _, host := range []string{"a.example/x", "u@a.example", "a.example?x"} {
		conn, in := s.Dial()
		_, err := io.WriteString(conn, "GET /old HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 400, resp.StatusCode, host)
	}
}

func TestTargetsThatAreRefused(t *testing.T) {
	k := redirect.New()
	for _, target := range []string{
		"", "new", "//a.example", "//", "///", "///a.example", "////a.example/b", "ftp://a.example", "https:", "https:///x", "http://", "https://u@a.example", "https://a.example/#x", "/x#", "/a b", "/a\\b",
		"/\x00", "/ü", "https://:80", "javascript:alert(1)", "mailto:a@b", "https://a.example:port", "/" + strings.Repeat("x", 3000),
	} {
		err := k.Validate(servicetest.Spec(redirect.KindName, "/old", redirect.Document{Target: target}))
		var p *problem.Problem
		require.True(t, errors.As(err, &p), target)
		require.Equal(t, problem.BadRequest, p.Kind())
		require.Equal(t, "redirect", p.Violations[0].Field)
		_, err = k.Prepare(t.Context(), servicetest.Spec(redirect.KindName, "/old", redirect.Document{Target: target}))
		require.Error(t, err)
	}
	require.ErrorContains(t, k.Validate(servicetest.Spec(redirect.KindName, "/old", redirect.Document{Target: "/a"}, servicetest.WithTimeout(1))), "timeout")
}

func TestStatus(t *testing.T) {
	s := serve(t)
	s.Deploy(servicetest.Spec(redirect.KindName, "/old", redirect.Document{Target: "/new", Permanent: true}))
	require.Equal(t, http.StatusPermanentRedirect, s.Get("/old").StatusCode)
	s.AwaitStatus("/old", func(status services.Status) bool { return !status.LastUsed.IsZero() })
	require.Equal(t, "/new (permanent)", s.Status("/old").Target)
	d := s.Deployment("/old")
	require.NoError(t, d.Scale(t.Context(), services.EvictCode))
	s.Withdraw("/old")
	require.Equal(t, problem.NotReady, problem.From(servicetest.Call(d, "GET", "/")).Kind())
}

func FuzzDocument(f *testing.F) {
	for _, text := range []string{`{"redirect":"https://a.example/b?c"}`, `{"redirect":"/new","permanent":true}`, `{"redirect":"https://","drop_path":true}`, `{"redirect":"//x"}`, `{"redirect":"///x"}`} {
		f.Add(text)
	}
	k := redirect.New()
	f.Fuzz(func(t *testing.T, text string) {
		d, err := redirect.Decode(registry.Manifest(text))
		if err != nil {
			return
		}
		again, err := redirect.Decode(d.Encode())
		require.NoError(t, err)
		require.Equal(t, d.Encode(), again.Encode())
		if k.Validate(servicetest.Manifest(redirect.KindName, "/old", registry.Manifest(text))) == nil {
			u, err := url.Parse(d.Target)
			require.NoError(t, err)
			require.False(t, strings.HasPrefix(d.Target, "//"))
			require.Nil(t, u.User)
		}
	})
}
