package proxy

import (
	"net/http"
	"net/url"
	"strings"
)

// places maps paths of an upstream to the paths by which clients reach them.
type places struct {
	origin origin
	prefix string // the prefix that was stripped from the path; "" for none
	host   string // the host that the client asked for
}

// relocate rewrites the fields of a response that name URLs of the upstream into the URLs that clients use.
func (p places) relocate(h http.Header) {
	for _, name := range [...]string{"Location", "Content-Location"} {
		if values := h[name]; len(values) == 1 {
			h[name] = []string{p.location(values[0])}
		}
	}
	if values := h["Refresh"]; len(values) == 1 {
		h["Refresh"] = []string{p.refresh(values[0])}
	}
	for i, cookie := range h["Set-Cookie"] {
		h["Set-Cookie"][i] = p.cookie(cookie)
	}
}

// location rewrites a URL. A URL at the upstream becomes a path, because clients do not know that
// address. A URL at the host that the client asked for keeps its scheme and host, so that a
// redirect to https works. Other URLs stay unchanged, as do relative paths without a leading slash.
func (p places) location(location string) string {
	l, err := url.Parse(location)
	if err != nil || l.Opaque != "" {
		return location
	}
	authority, path, tail := split(location)
	switch {
	case authority == "" && l.Scheme == "":
		if !strings.HasPrefix(path, "/") {
			return location
		}
		path, _ = p.path(escapeRest(path))
		return path + tail
	case l.Host == "":
		return location
	}
	if rest, below := p.origin.rest(l); below {
		return absolute(p.prefix+rest) + tail
	}
	if strings.EqualFold(l.Host, p.host) {
		if path, own := p.path(escapeRest(path)); own {
			return authority + path + tail
		}
	}
	return location
}

// split cuts a URL into the part before its path, the path, and the query with the fragment.
func split(location string) (authority, path, tail string) {
	if i := strings.Index(location, "//"); i >= 0 && !strings.ContainsAny(location[:i], "/?#") {
		authority, location = location[:i+2], location[i+2:]
		end := strings.IndexAny(location, "/?#")
		if end < 0 {
			end = len(location)
		}
		authority, location = authority+location[:end], location[end:]
	}
	end := strings.IndexAny(location, "?#")
	if end < 0 {
		return authority, location, ""
	}
	return authority, location[:end], location[end:]
}

// absolute turns an empty path into "/", and leading slashes
// into a single one, because "//" would begin a host.
func absolute(path string) string {
	if path == "" || strings.HasPrefix(path, "//") {
		return "/" + strings.TrimLeft(path, "/")
	}
	return path
}

// path rewrites an escaped path of the upstream. It sets own to false if clients cannot reach that
// path. A path that already has the prefix comes from an upstream that honours X-Forwarded-Prefix.
func (p places) path(path string) (rewritten string, own bool) {
	if p.origin.path != "" {
		if rest, found := strings.CutPrefix(path, p.origin.path); found && (rest == "" || rest[0] == '/') {
			return absolute(p.prefix + rest), true
		}
		return path, false
	}
	if under(path, p.prefix) {
		return path, true
	}
	return absolute(p.prefix + path), true
}

// under reports whether a path equals prefix or is below it.
func under(path, prefix string) bool {
	rest, found := strings.CutPrefix(path, prefix)
	return found && (rest == "" || rest[0] == '/')
}

// refresh rewrites the URL of a Refresh field such as "5; url=/x".
func (p places) refresh(value string) string {
	i := strings.Index(strings.ToLower(value), "url=")
	if i < 0 || len(value) != len(strings.ToLower(value)) {
		return value
	}
	begin, location := value[:i+len("url=")], value[i+len("url="):]
	if quote := strings.IndexAny(location, `"'`); quote == 0 {
		if end := strings.IndexByte(location[1:], location[0]); end >= 0 {
			return begin + location[:1] + p.location(location[1:end+1]) + location[end+1:]
		}
	}
	return begin + p.location(location)
}

// cookie rewrites the paths of a Set-Cookie field. The path of a __Host- cookie must stay "/".
func (p places) cookie(cookie string) string {
	pair, attributes, found := strings.Cut(cookie, ";")
	name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
	if !found || len(name) >= len("__Host-") && strings.EqualFold(name[:len("__Host-")], "__Host-") {
		return cookie
	}
	parts := strings.Split(attributes, ";")
	for i, attribute := range parts {
		key, value, _ := strings.Cut(attribute, "=")
		if strings.EqualFold(strings.TrimSpace(key), "Path") {
			parts[i] = key + "=" + p.cookiePath(strings.TrimSpace(value))
		}
	}
	return pair + ";" + strings.Join(parts, ";")
}

// cookiePath rewrites the path of a cookie. A cookie for
// the whole upstream becomes one for the whole service.
func (p places) cookiePath(path string) string {
	switch {
	case !strings.HasPrefix(path, "/"):
		return path
	case p.prefix == "" && p.origin.path == "":
		return path
	case path == "/" || p.origin.path != "" && under(p.origin.path, strings.TrimSuffix(path, "/")):
		return absolute(p.prefix)
	}
	path, _ = p.path(path)
	return path
}
