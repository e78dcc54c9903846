package router

import (
	"net/http"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
)

// Lookup returns the route with the longest prefix of escapedPath, and rest, the escaped path after
// the prefix: "" or beginning with "/". A percent-encoded unreserved character equals the character
// itself. An encoded slash is data within its segment. For the route "/" the rest is the whole path.
//
// Routes with a match are considered only if r is not nil. At one prefix they precede the route without
// a match, in order of precedence. If no route of a prefix matches, shorter prefixes are tried.
//
// Lookup does not validate the path: it treats a dot segment as an ordinary segment.
// The Router rejects those before.
func (t *Table) Lookup(escapedPath string, r *http.Request) (route *Route, rest string, ok bool) {
	var f found
	return t.lookup(escapedPath, r, &f)
}

// lookup is Lookup with a caller-provided found, which saves an allocation.
func (t *Table) lookup(path string, r *http.Request, f *found) (route *Route, rest string, ok bool) {
	if !strings.HasPrefix(path, "/") {
		return nil, "", false
	}
	end, depth := t.head(path)
	key, encoded := decodeUnreserved(path[:end])
	for ; depth > 0; depth-- {
		if route = t.find(depth, key, r, f); route != nil {
			if encoded {
				end = cutSegments(path, depth)
			} else {
				end = len(key)
			}
			return route, path[end:], true
		}
		key = key[:strings.LastIndexByte(key, '/')]
	}
	if len(t.trees) > 0 {
		route = t.find(0, "/", r, f)
	}
	if route == nil {
		return nil, "", false
	}
	return route, path, true
}

// exactly returns the route with the key if its prefix is one of the path, and the rest of the path.
func (t *Table) exactly(key routekey.Key, path string) (route *Route, rest string, ok bool) {
	i, ok := slices.BinarySearchFunc(t.routes, key, func(r *Route, key routekey.Key) int { return r.Key.Compare(key) })
	rest, below := strings.CutPrefix(path, strings.TrimSuffix(string(key.Prefix), "/"))
	if !ok || !below || rest != "" && rest[0] != '/' {
		return nil, "", false
	}
	return t.routes[i], rest, true
}

// find returns the route at exactly this prefix that matches r, nil if there is none.
func (t *Table) find(depth int, key string, r *http.Request, f *found) *Route {
	if t.trees[depth] == nil {
		return nil
	}
	handle, _, _ := t.trees[depth].Lookup(lookupMethod, key)
	if handle == nil {
		return nil
	}
	handle(f, nil, nil)
	return f.place.choose(r)
}

func (p *place) choose(r *http.Request) *Route {
	if r != nil {
		for _, route := range p.matched {
			if route.Key.Match.Holds(r.Host, r.Header) {
				return route
			}
		}
	}
	return p.plain
}

// head returns the end and the number of segments of the longest part of the path that can be a prefix.
func (t *Table) head(path string) (end, depth int) {
	for depth < len(t.trees)-1 && end < len(path) {
		next := strings.IndexByte(path[end+1:], '/')
		depth++
		if next < 0 {
			return len(path), depth
		}
		end += 1 + next
	}
	return end, depth
}

// cutSegments returns the length of the first depth segments of a path, which must have as many.
func cutSegments(path string, depth int) int {
	end := 0
	for ; depth > 0; depth-- {
		next := strings.IndexByte(path[end+1:], '/')
		if next < 0 {
			return len(path)
		}
		end += 1 + next
	}
	return end
}
