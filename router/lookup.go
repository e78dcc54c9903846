package router

import "strings"

// Lookup finds the route with the longest prefix of the path, which is escaped as it came, and what follows the prefix,
// still escaped: "" or beginning with "/". A percent-encoded unreserved character is the same as the character itself; an
// encoded slash is data in its segment. The route "/" takes the whole path as its rest.
//
// Lookup does not judge: a dot segment is a segment like another. The Router refuses it before.
func (t *Table) Lookup(escapedPath string) (route *Route, rest string, ok bool) {
	var f found
	return t.lookup(escapedPath, &f)
}

// lookup is Lookup with the place for the route lent by the caller, which saves its allocation.
func (t *Table) lookup(path string, f *found) (route *Route, rest string, ok bool) {
	if !strings.HasPrefix(path, "/") {
		return nil, "", false
	}
	end, depth := t.head(path)
	key, encoded := decodeUnreserved(path[:end])
	for ; depth > 0; depth-- {
		if t.find(depth, key, f) {
			if encoded {
				end = cutSegments(path, depth)
			} else {
				end = len(key)
			}
			return f.route, path[end:], true
		}
		key = key[:strings.LastIndexByte(key, '/')]
	}
	if len(t.trees) > 0 && t.find(0, "/", f) {
		return f.route, path, true
	}
	return nil, "", false
}

func (t *Table) find(depth int, key string, f *found) bool {
	if t.trees[depth] == nil {
		return false
	}
	handle, _, _ := t.trees[depth].Lookup(lookupMethod, key)
	if handle == nil {
		return false
	}
	handle(f, nil, nil)
	return true
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
