package cache

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
)

// lifetime describes for how long an answer is fresh.
type lifetime struct {
	initial         time.Duration // age when the answer was received
	fresh           time.Duration // age up to which the answer is fresh
	whileRevalidate time.Duration // how long it may be served after that while a newer one is fetched
	ifError         time.Duration // how long it may be served after that if the service fails
	shared          bool          // public or s-maxage: requests with credentials may get it, RFC 9111 section 3.5
}

// kept returns the age up to which the answer is of use.
func (l *lifetime) kept() time.Duration { return l.fresh + max(l.whileRevalidate, l.ifError) }

// refused are the fields of a response that keep it from being stored. Those of CDNs could contradict Cache-Control, and are not
// supported.
var refused = [...]struct{ field, reason string }{
	{"Set-Cookie", "set-cookie"},
	{"Set-Cookie2", "set-cookie"},
	{"Trailer", "trailer"},
	{"Content-Range", "range"},
	{"Clear-Site-Data", "clear-site-data"},
	{"Cdn-Cache-Control", "cdn-cache-control"},
	{"Surrogate-Control", "surrogate-control"},
}

// storableStatus reports whether an answer with the status may be stored.
func storableStatus(status int) bool {
	switch status {
	case http.StatusOK, http.StatusNonAuthoritativeInfo, http.StatusNoContent, http.StatusMultipleChoices, http.StatusMovedPermanently,
		http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect, http.StatusNotFound, http.StatusGone:
		return true
	}
	return false
}

// judge decides whether the answer to a GET may be stored. If not, reason is a token that says why. credentials reports whether
// the request had some. asked and now are the times of request and response.
func judge(status int, h http.Header, credentials bool, asked, now time.Time) (l lifetime, reason string) {
	if !storableStatus(status) {
		return l, "status"
	}
	for name := range h {
		if http.CanonicalHeaderKey(name) != name && !strings.HasPrefix(name, http.TrailerPrefix) {
			return l, "malformed" // the rules below would not see it
		}
	}
	for _, r := range refused {
		if len(h[r.field]) > 0 {
			return l, r.reason
		}
	}
	c := parseControl(h["Cache-Control"])
	switch {
	case c.noStore:
		return l, "no-store"
	case c.private:
		return l, "private"
	case c.noCache:
		return l, "no-cache"
	case c.malformed:
		return l, "malformed"
	}
	l.shared = c.public || c.sMaxAge != absent
	if credentials && !l.shared {
		return l, "credentials"
	}
	if _, ok := varyOf(h); !ok {
		return l, "vary"
	}
	if c.sMaxAge == absent && !c.mustRevalidate { // s-maxage implies proxy-revalidate
		l.whileRevalidate, l.ifError = max(0, c.whileRevalidate), max(0, c.ifError)
	}
	var ok bool
	if l.initial, l.fresh, ok = ages(&c, h, asked, now); !ok {
		return l, "malformed"
	}
	switch {
	case l.fresh < 0:
		return l, "no-lifetime"
	case l.fresh <= l.initial:
		return l, "stale"
	}
	return l, ""
}

// ages returns the initial age of an answer and its lifetime, by sections 4.2.1 and 4.2.3 of RFC 9111. The lifetime is absent if
// the answer names none. It reports false if a field is malformed.
func ages(c *control, h http.Header, asked, now time.Time) (initial, fresh time.Duration, ok bool) {
	date := now
	if values := h["Date"]; len(values) > 0 {
		var err error
		if date, err = http.ParseTime(values[0]); err != nil || len(values) > 1 {
			return 0, 0, false
		}
	}
	initial = now.Sub(asked)
	for _, value := range h["Age"] {
		age, ok := seconds(strings.Trim(value, " \t"))
		if !ok {
			return 0, 0, false
		}
		initial = max(initial, age+now.Sub(asked))
	}
	initial = max(initial, now.Sub(date))
	switch expires := h["Expires"]; {
	case c.sMaxAge != absent:
		return initial, c.sMaxAge, true
	case c.maxAge != absent:
		return initial, c.maxAge, true
	case len(expires) == 1:
		until, err := http.ParseTime(expires[0])
		if err != nil {
			return initial, 0, true // such as "0": already expired
		}
		return initial, max(0, min(until.Sub(date), maxSeconds*time.Second)), true
	case len(expires) > 1:
		return 0, 0, false
	}
	return initial, absent, true
}

// varyOf returns the names of the request's fields that have selected an answer, canonical and sorted. It reports false if the
// answer suits no other request.
func varyOf(h http.Header) (names []string, ok bool) {
	for _, value := range h["Vary"] {
		for name := range strings.SplitSeq(value, ",") {
			name = http.CanonicalHeaderKey(strings.Trim(name, " \t"))
			switch {
			case name == "":
				continue
			case !httpfield.ValidName(name) || name == "*" || httpfield.RequestID(name):
				return nil, false
			}
			names = append(names, name)
		}
	}
	if len(names) > maxVary {
		return nil, false
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

// maxVary is the most fields that Vary may name.
const maxVary = 16
