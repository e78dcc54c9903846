package cache

import (
	"container/list"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
)

// Overhead of a stored answer, in bytes: estimates of the sizes that Go allocates.
const (
	entryBytes = 768 // entry, its places in lists and maps
	fieldBytes = 96  // a field of a header, beside its text
)

// entry is a stored answer. Its fields are immutable, unless Store.mu guards them.
type entry struct {
	cache  *Cache
	key    Key
	status int
	header http.Header
	body   []byte
	lifetime
	received time.Time // with a monotonic reading
	vary     []string  // canonical names of the request's fields that have selected the answer
	selected []string  // their values in the request
	size     int64     // bytes that the entry counts

	recent  *list.Element // guarded by Store.mu: in Store.recent; nil if the entry is not in the cache any more
	own     *list.Element // guarded by Store.mu: in Cache.recent
	readers int           // guarded by Store.mu: hits that are not released
}

// age returns the age of the answer.
func (e *entry) age(now time.Time) time.Duration { return e.initial + max(0, now.Sub(e.received)) }

// suits reports whether the entry is an answer to a request with the header.
func (e *entry) suits(h http.Header) bool {
	for i, name := range e.vary {
		if selecting(h, name) != e.selected[i] {
			return false
		}
	}
	return true
}

// selecting returns the values of a field in a form that can be compared. It differs for an absent field and an empty one.
func selecting(h http.Header, name string) string {
	values, ok := h[name]
	switch {
	case !ok:
		return "\x00"
	case len(values) == 1:
		return strings.Trim(values[0], " \t")
	}
	trimmed := make([]string, len(values))
	for i, value := range values {
		trimmed[i] = strings.Trim(value, " \t")
	}
	return strings.Join(trimmed, ", ")
}

// measure sets the size of the entry.
func (e *entry) measure() {
	e.size = int64(entryBytes + len(e.key.Authority) + len(e.key.Target) + cap(e.body))
	for name, values := range e.header {
		for _, value := range values {
			e.size += int64(fieldBytes + len(name) + len(value))
		}
	}
	for i, name := range e.vary {
		e.size += int64(fieldBytes + len(name) + len(e.selected[i]))
	}
}

// detach gives the entry texts of its own, with the size that they count. They may be parts of larger ones, such as a whole request or a line
// of a guest.
func (e *entry) detach() {
	e.key = Key{Authority: strings.Clone(e.key.Authority), Target: strings.Clone(e.key.Target)}
	own := make(http.Header, len(e.header))
	for name, values := range e.header {
		own[strings.Clone(name)] = detached(values)
	}
	e.header, e.vary, e.selected = own, detached(e.vary), detached(e.selected)
}

// detached returns copies of texts.
func detached(texts []string) []string {
	own := make([]string, len(texts))
	for i, text := range texts {
		own[i] = strings.Clone(text)
	}
	return own
}

// storedHeader returns a copy of a response's header without the fields of its connection and of its request.
func storedHeader(h http.Header, now time.Time) http.Header {
	stored := make(http.Header, len(h)+1)
	for name, values := range h {
		if !httpfield.HopByHop(name) && !httpfield.RequestID(name) && name != "Age" && name != httpfield.ReportHeader && len(values) > 0 {
			stored[name] = slices.Clip(slices.Clone(values))
		}
	}
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			delete(stored, http.CanonicalHeaderKey(strings.Trim(name, " \t")))
		}
	}
	for name := range stored {
		if strings.HasPrefix(name, "Proxy-") {
			delete(stored, name)
		}
	}
	if stored["Date"] == nil {
		stored["Date"] = []string{now.UTC().Format(http.TimeFormat)}
	}
	return stored
}
