package proxy

import (
	"net/http"
	"net/url"
	"strings"
)

// places relates the paths of an upstream to those by which clients reach it.
type places struct {
	origin origin
	prefix string // that was taken from the path; "" for none
	host   string // that the client has asked for
}

// relocate makes the fields of an answer that name places at the upstream name them as clients know them.
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

// location rewrites a URL. One that names the upstream becomes a path, because its address is nothing to clients. One that names the host that
// the client has asked for keeps scheme and host, so that a change to https is one. Others stay, relative ones among them.
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

// split cuts a URL into what is before its path, the path, and query and fragment.
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

// absolute makes a path of one that may be empty, or could be taken for a host.
func absolute(path string) string {
	if path == "" || strings.HasPrefix(path, "//") {
		return "/" + strings.TrimLeft(path, "/")
	}
	return path
}

// path rewrites an escaped path of the upstream; own is false if it is not one that clients reach. A path that has the prefix already
// is of an upstream that heeds X-Forwarded-Prefix.
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

// under reports whether a path is a prefix or below it.
func under(path, prefix string) bool {
	rest, found := strings.CutPrefix(path, prefix)
	return found && (rest == "" || rest[0] == '/')
}

// refresh rewrites the URL of a Refresh field, as "5; url=/x".
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

// cookie rewrites the paths of a Set-Cookie field. That of a __Host- cookie must stay "/".
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

// cookiePath rewrites the path of a cookie. One that holds for all of the upstream holds for all of the service.
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
