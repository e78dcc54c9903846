package proxy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLocation(t *testing.T) {
	below := places{origin: origin{scheme: "http", host: "127.0.0.1:9000", path: "/v1"}, prefix: "/api", host: "www.example.com"}
	root, kept, whole := below, below, below
	root.origin.path, kept.prefix = "", ""
	whole.origin.path, whole.prefix = "", ""
	for _, c := range []struct {
		places     places
		from, want string
	}{
		{below, "http://127.0.0.1:9000/v1/a?b=c#d", "/api/a?b=c#d"},
		{below, "//127.0.0.1:9000/v1/a%2Fb", "/api/a%2Fb"},
		{below, "http://127.0.0.1:9000/v1", "/api"},
		{kept, "http://127.0.0.1:9000/v1", "/"},
		{kept, "http://127.0.0.1:9000/v1//evil.example/", "/evil.example/"},
		{kept, "http://127.0.0.1:9000/v1/api/a", "/api/a"},
		{below, "http://127.0.0.1:9000/v10", "http://127.0.0.1:9000/v10"},
		{below, "http://127.0.0.1:9000/", "http://127.0.0.1:9000/"},
		{below, "http://127.0.0.1:9001/v1/a", "http://127.0.0.1:9001/v1/a"},
		{below, "https://127.0.0.1:9000/v1/a", "https://127.0.0.1:9000/v1/a"},
		{below, "/v1/a?b", "/api/a?b"},
		{below, "/v1", "/api"},
		{below, "/a", "/a"},
		{below, "a/b", "a/b"},
		{below, "../a", "../a"},
		{below, "?a=/v1/b", "?a=/v1/b"},
		{below, "", ""},
		{below, "http://%zz", "http://%zz"},
		{below, "mailto:/v1/a", "mailto:/v1/a"},
		{root, "/", "/api/"},
		{root, "/login?to=/x#y", "/api/login?to=/x#y"},
		{root, "/a%2Fb", "/api/a%2Fb"},
		{root, "/api/login", "/api/login"},
		{root, "/apis", "/api/apis"},
		{root, "http://127.0.0.1:9000/login", "/api/login"},
		{root, "http://127.0.0.1:9000?a", "/api?a"},
		{root, "https://www.example.com/login?x", "https://www.example.com/api/login?x"},
		{root, "https://www.example.com/api/login", "https://www.example.com/api/login"},
		{root, "http://other.example.com/login", "http://other.example.com/login"},
		{root, "//other.example.com/login", "//other.example.com/login"},
		{kept, "/v1/api/a", "/api/a"},
		{whole, "/a", "/a"},
		{whole, "http://127.0.0.1:9000/a", "/a"},
	} {
		require.Equal(t, c.want, c.places.location(c.from), c.from)
	}
}

func TestRelocate(t *testing.T) {
	p := places{origin: origin{scheme: "http", host: "up"}, prefix: "/api", host: "www.example.com"}
	h := http.Header{
		"Location": {"/login"}, "Content-Location": {"http://up/x"}, "Refresh": {"5; URL='/next'"},
		"Set-Cookie": {"a=1; Path=/; HttpOnly", "b=2", "c=3; path = /x ;Secure", "__Host-d=4; Path=/; Secure", "e=/; Path=/api/x", "f=6; Path="},
	}
	p.relocate(h)
	require.Equal(t, http.Header{
		"Location": {"/api/login"}, "Content-Location": {"/api/x"}, "Refresh": {"5; URL='/api/next'"},
		"Set-Cookie": {"a=1; Path=/api; HttpOnly", "b=2", "c=3; path =/api/x;Secure", "__Host-d=4; Path=/; Secure", "e=/; Path=/api/x", "f=6; Path="},
	}, h)
	for from, want := range map[string]string{"5": "5", "0;url=/x": "0;url=/api/x", `1; url="/x"; y`: `1; url="/api/x"; y`, "1; url='/x": "1; url='/x"} {
		require.Equal(t, want, p.refresh(from))
	}
	p.origin.path = "/v1"
	for from, want := range map[string]string{"/": "/api", "/v1": "/api", "/v1/": "/api", "/v1/a": "/api/a", "/v2": "/v2", "": "", "x": "x"} {
		require.Equal(t, want, p.cookiePath(from), from)
	}
}

func FuzzLocation(f *testing.F) {
	for _, seed := range []string{"/login", "http://up/a?b#c", "//up//x", "https://www.example.com/x", "a", "/v1//evil", "?//"} {
		f.Add(seed)
	}
	p := places{origin: origin{scheme: "http", host: "up"}, prefix: "/api", host: "www.example.com"}
	f.Fuzz(func(t *testing.T, location string) {
		got := p.location(location)
		if strings.HasPrefix(location, "/") && !strings.HasPrefix(location, "//") && got != location {
			require.True(t, strings.HasPrefix(got, "/api"), got)
		}
		if strings.HasPrefix(got, "//") {
			require.Equal(t, location, got, "no rewriting leads to another host")
		}
		require.Equal(t, got, p.location(got), "a rewritten place stays")
	})
}
