package cache

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// header parses "Name: value" lines.
func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func TestJudge(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		status      int
		header      []string
		credentials bool
		reason      string
		fresh, age  time.Duration
	}{
		"max-age":                      {header: []string{"Cache-Control: max-age=60"}, fresh: time.Minute},
		"s-maxage goes before max-age": {header: []string{"Cache-Control: max-age=60, s-maxage=5", "Expires: " + at(time.Hour)}, fresh: 5 * time.Second},
		"max-age goes before expires":  {header: []string{"Cache-Control: Max-Age=\"60\"", "Expires: " + at(time.Hour)}, fresh: time.Minute},
		"expires":                      {header: []string{"Expires: " + at(time.Hour), "Date: " + at(0)}, fresh: time.Hour},
		"expires of another clock":     {header: []string{"Expires: " + at(time.Hour), "Date: " + at(time.Minute)}, fresh: 59 * time.Minute},
		"old on arrival":               {header: []string{"Cache-Control: max-age=60", "Age: 20"}, fresh: time.Minute, age: 20 * time.Second},
		"old by its date":              {header: []string{"Cache-Control: max-age=60", "Age: 20", "Date: " + at(-30*time.Second)}, fresh: time.Minute, age: 30 * time.Second},
		"two lines":                    {header: []string{"Cache-Control: public", "Cache-Control: max-age=9"}, fresh: 9 * time.Second},
		"the least of two":             {header: []string{"Cache-Control: max-age=9, max-age=3"}, fresh: 3 * time.Second},
		"too many seconds":             {header: []string{"Cache-Control: max-age=99999999999999999999"}, fresh: maxSeconds * time.Second},
		"extensions":                   {header: []string{`Cache-Control: max-age=9, x="a, no-store", y`}, fresh: 9 * time.Second},
		"404":                          {status: 404, header: []string{"Cache-Control: max-age=9"}, fresh: 9 * time.Second},
		"credentials and public":       {header: []string{"Cache-Control: max-age=9, public"}, credentials: true, fresh: 9 * time.Second},
		"credentials and s-maxage":     {header: []string{"Cache-Control: s-maxage=9"}, credentials: true, fresh: 9 * time.Second},

		"nothing":              {reason: "no-lifetime"},
		"public alone":         {header: []string{"Cache-Control: public", "Last-Modified: " + at(-time.Hour)}, reason: "no-lifetime"},
		"no-store":             {header: []string{"Cache-Control: max-age=9, No-Store"}, reason: "no-store"},
		"no-store in a line":   {header: []string{"Cache-Control: max-age=9", "Cache-Control: no-store"}, reason: "no-store"},
		"must-understand":      {header: []string{"Cache-Control: max-age=9, must-understand, no-store"}, reason: "no-store"},
		"private":              {header: []string{"Cache-Control: max-age=9, private"}, reason: "private"},
		"private fields":       {header: []string{`Cache-Control: max-age=9, private="X-User, X-Other"`}, reason: "private"},
		"no-cache":             {header: []string{"Cache-Control: max-age=9, no-cache"}, reason: "no-cache"},
		"no-cache fields":      {header: []string{`Cache-Control: max-age=9, no-cache="Set-Cookie"`}, reason: "no-cache"},
		"max-age of 0":         {header: []string{"Cache-Control: max-age=0"}, reason: "stale"},
		"s-maxage of 0":        {header: []string{"Cache-Control: max-age=9, s-maxage=0"}, reason: "stale"},
		"no number":            {header: []string{"Cache-Control: max-age=soon"}, reason: "malformed"},
		"negative":             {header: []string{"Cache-Control: max-age=-1"}, reason: "malformed"},
		"open quote":           {header: []string{`Cache-Control: max-age=9, x="a`}, reason: "malformed"},
		"expires 0":            {header: []string{"Expires: 0"}, reason: "stale"},
		"expires twice":        {header: []string{"Expires: " + at(time.Hour), "Expires: " + at(time.Hour)}, reason: "malformed"},
		"expired":              {header: []string{"Expires: " + at(-time.Hour)}, reason: "stale"},
		"too old on arrival":   {header: []string{"Cache-Control: max-age=9", "Age: 9"}, reason: "stale"},
		"wrong age":            {header: []string{"Cache-Control: max-age=9", "Age: x"}, reason: "malformed"},
		"wrong date":           {header: []string{"Cache-Control: max-age=9", "Date: x"}, reason: "malformed"},
		"cookie":               {header: []string{"Cache-Control: max-age=9, public", "Set-Cookie: a=b"}, reason: "set-cookie"},
		"vary by anything":     {header: []string{"Cache-Control: max-age=9", "Vary: Accept, *"}, reason: "vary"},
		"vary by the request":  {header: []string{"Cache-Control: max-age=9", "Vary: x-request-id"}, reason: "vary"},
		"vary by no name":      {header: []string{"Cache-Control: max-age=9", "Vary: a b"}, reason: "vary"},
		"vary by many":         {header: []string{"Cache-Control: max-age=9", "Vary: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"}, reason: "vary"},
		"trailer":              {header: []string{"Cache-Control: max-age=9", "Trailer: X"}, reason: "trailer"},
		"part":                 {status: 206, header: []string{"Cache-Control: max-age=9"}, reason: "status"},
		"part as 200":          {header: []string{"Cache-Control: max-age=9", "Content-Range: bytes 0-1/2"}, reason: "range"},
		"not modified":         {status: 304, header: []string{"Cache-Control: max-age=9"}, reason: "status"},
		"failure":              {status: 500, header: []string{"Cache-Control: max-age=9"}, reason: "status"},
		"credentials":          {header: []string{"Cache-Control: max-age=9, must-revalidate"}, credentials: true, reason: "credentials"},
		"for CDNs":             {header: []string{"Cache-Control: max-age=9", "CDN-Cache-Control: no-store"}, reason: "cdn-cache-control"},
		"unusual name":         {header: []string{"Cache-Control: max-age=9"}, reason: "malformed"},
		"clears data of sites": {header: []string{"Cache-Control: max-age=9", `Clear-Site-Data: "*"`}, reason: "clear-site-data"},
	} {
		h := header(c.header...)
		if name == "unusual name" {
			h["set-cookie"] = []string{"a=b"}
		}
		if c.status == 0 {
			c.status = 200
		}
		l, reason := judge(c.status, h, c.credentials, now, now)
		require.Equal(t, c.reason, reason, name)
		if reason == "" {
			require.Equal(t, c.fresh, l.fresh, name)
			require.Equal(t, c.age, l.initial, name)
		}
	}
}

// TestSlowAnswersAreOlder checks that the time of the service counts as age.
func TestSlowAnswersAreOlder(t *testing.T) {
	now := time.Now()
	l, reason := judge(200, header("Cache-Control: max-age=60", "Age: 10"), false, now.Add(-5*time.Second), now)
	require.Empty(t, reason)
	require.Equal(t, 15*time.Second, l.initial)
}

func TestStaleWhileRevalidate(t *testing.T) {
	now := time.Now()
	for control, want := range map[string]time.Duration{
		"max-age=1, stale-while-revalidate=30": 30 * time.Second,
		"max-age=1":                            0,
		"max-age=1, stale-while-revalidate=30, must-revalidate": 0,
		"max-age=1, proxy-revalidate, stale-while-revalidate=3": 0,
		"s-maxage=1, stale-while-revalidate=30":                 0,
	} {
		l, reason := judge(200, header("Cache-Control: "+control), false, now, now)
		require.Empty(t, reason)
		require.Equal(t, want, l.whileRevalidate, control)
	}
}

func TestStaleIfError(t *testing.T) {
	now := time.Now()
	for control, want := range map[string]time.Duration{
		"max-age=1, stale-if-error=30":                            30 * time.Second,
		"max-age=1, stale-if-error=30, stale-while-revalidate=50": 30 * time.Second,
		"max-age=1": 0,
		"max-age=1, stale-if-error=30, must-revalidate":  0,
		"max-age=1, proxy-revalidate, stale-if-error=3":  0,
		"s-maxage=1, stale-if-error=30":                  0,
		"max-age=1, stale-if-error=30, stale-if-error=4": 4 * time.Second,
	} {
		l, reason := judge(200, header("Cache-Control: "+control), false, now, now)
		require.Empty(t, reason)
		require.Equal(t, want, l.ifError, control)
	}
	_, reason := judge(200, header("Cache-Control: max-age=1, stale-if-error=x"), false, now, now)
	require.Equal(t, "malformed", reason)
}

func TestStoredHeader(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	h := storedHeader(header("Connection: close, X-Hop", "X-Hop: 1", "Keep-Alive: 1", "Proxy-Authenticate: x", "Age: 5", "X-Request-Id: a", "Etag: a", "Link: 1", "Link: 2"), now)
	require.Equal(t, header("Etag: a", "Link: 1", "Link: 2", "Date: Wed, 02 Jan 2030 03:04:05 GMT"), h)
}

func FuzzParseControl(f *testing.F) {
	f.Add(`max-age=5, no-cache="a, b\"", private`)
	f.Add(`"`)
	f.Fuzz(func(t *testing.T, text string) {
		c := parseControl([]string{text})
		for _, d := range []time.Duration{c.maxAge, c.sMaxAge, c.minFresh, c.whileRevalidate, c.ifError} {
			require.True(t, d == absent || d >= 0 && d <= maxSeconds*time.Second)
		}
		both := parseControl([]string{text, "no-store"})
		require.True(t, both.noStore)
		if !c.malformed {
			require.True(t, parseControl([]string{text + ",no-store"}).noStore)
		}
	})
}
