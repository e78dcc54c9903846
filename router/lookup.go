package router

import (
	"net/http"
	"strings"
)

// Lookup finds the route with the longest prefix of the path, which is escaped as it came, and what follows the prefix,
// still escaped: "" or beginning with "/". A percent-encoded unreserved character is the same as the character itself; an
// encoded slash is data in its segment. The route "/" takes the whole path as its rest.
//
// Routes with a match are looked at where r is not nil: at one prefix they go before the route without, the one with the longest value
// first. Where none of a prefix holds, a shorter prefix is looked for.
//
// Lookup does not judge: a dot segment is a segment like another. The Router refuses it before.
func (t *Table) Lookup(escapedPath string, r *http.Request) (route *Route, rest string, ok bool) {
	var f found
	return t.lookup(escapedPath, r, &f)
}

// lookup is Lookup with the place for what is found lent by the caller, which saves its allocation.
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

// find gives the route of exactly this prefix that serves r, nil if there is none.
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
			if route.Match.holds(r) {
				return route
			}
		}
	}
	return p.plain
}

// head is the beginning of the path that can be a prefix: as many segments as the deepest prefix has.
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

// cutSegments is the length of the first depth segments of a path that has them.
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
