package cache

import (
	"net/http"
	"strings"
	"time"
)

// Key identifies what a request asks for.
type Key struct {
	Authority string // scheme, host and what else of the address a service sees
	Target    string // escaped path and query
}

// Request is a GET or HEAD for a cache.
type Request struct {
	Key     Key
	Header  http.Header // as the service sees it
	Head    bool
	Arrived time.Time

	control     control
	credentials bool
	conditional bool
}

// NewRequest returns the request for a cache. It reports false if the cache has nothing to do with it: what the client asks for is
// neither kept nor answered.
func NewRequest(r *http.Request, key Key, arrived time.Time) (Request, bool) {
	q := Request{Key: key, Header: r.Header, Head: r.Method == http.MethodHead, Arrived: arrived}
	if r.Method != http.MethodGet && !q.Head || r.ContentLength != 0 {
		return q, false
	}
	for _, name := range [...]string{"Range", "If-Range", "If-Match", "If-Unmodified-Since", "Upgrade"} {
		if len(r.Header[name]) > 0 {
			return q, false
		}
	}
	q.control = parseControl(r.Header["Cache-Control"])
	if r.Header["Cache-Control"] == nil && strings.Contains(strings.ToLower(r.Header.Get("Pragma")), "no-cache") {
		q.control.noCache = true
	}
	if q.control.malformed {
		q.control.noCache = true
	}
	q.credentials = hasCredentials(r.Header)
	q.conditional = len(r.Header["If-None-Match"]) > 0 || len(r.Header["If-Modified-Since"]) > 0
	return q, !q.control.noStore
}

// hasCredentials reports whether a header may name a user: by a field for that, or by one of a trusted proxy, such as
// X-Forwarded-User.
func hasCredentials(h http.Header) bool {
	for name := range h {
		switch name {
		case "Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "X-Auth-Token":
			return true
		case "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix":
		default:
			if strings.HasPrefix(name, "X-Forwarded-") {
				return true
			}
		}
	}
	return false
}

// OnlyIfCached reports whether the client wants a stored answer or none.
func (q *Request) OnlyIfCached() bool { return q.control.onlyIfCached }

// plain reports whether the answer to the request suits other clients, so that they can wait for it.
func (q *Request) plain() bool {
	return !q.Head && !q.credentials && !q.conditional && !q.control.noCache && q.control.maxAge == absent && q.control.minFresh == absent
}

// notModified reports whether the client has the answer, by its If-None-Match or else its If-Modified-Since.
func (q *Request) notModified(e *entry) bool {
	if e.status != http.StatusOK {
		return false
	}
	if tags := q.Header["If-None-Match"]; len(tags) > 0 {
		return matches(tags, e.header.Get("Etag"))
	}
	since := q.Header["If-Modified-Since"]
	if len(since) != 1 {
		return false
	}
	have, err := http.ParseTime(since[0])
	changed, wrong := http.ParseTime(e.header.Get("Last-Modified"))
	return err == nil && wrong == nil && !changed.After(have)
}

// matches reports whether a list of entity tags has one, by the weak comparison of RFC 9110 section 8.8.3.2. "*" matches any answer.
func matches(lists []string, tag string) bool {
	var malformed bool
	for _, list := range lists {
		for list != "" {
			var item string
			item, list = cutTag(list, &malformed)
			item = strings.Trim(item, " \t")
			if item == "*" || tag != "" && strings.TrimPrefix(item, "W/") == strings.TrimPrefix(tag, "W/") {
				return !malformed
			}
		}
	}
	return false
}

// cutTag cuts the first entity tag off a list. Tags have no escapes: a backslash is a part of them.
func cutTag(list string, malformed *bool) (item, rest string) {
	quoted := false
	for i := range len(list) {
		switch c := list[i]; {
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return list[:i], list[i+1:]
		}
	}
	*malformed = *malformed || quoted
	return list, ""
}
