package cache

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Hit is a stored answer for one request.
type Hit struct {
	entry   *entry
	request *Request
	age     time.Duration
}

// Release ends the use of the answer. It must be called once, after the answer was sent.
func (h *Hit) Release() { h.entry.cache.store.release(h.entry) }

// Stale reports whether the answer is served while a newer one is fetched.
func (h *Hit) Stale() bool { return h.age >= h.entry.fresh }

// TTL returns for how long the answer is still fresh, less than 0 if it is not.
func (h *Hit) TTL() time.Duration { return h.entry.fresh - h.age }

// Answer adds the fields of the answer to the header to, and returns its status and body: 304 without a body if the client has the
// answer. The body must not be changed.
func (h *Hit) Answer(to http.Header) (status int, body []byte) {
	e := h.entry
	to["Age"] = []string{strconv.FormatInt(int64(max(0, h.age)/time.Second), 10)}
	if h.request.notModified(e) {
		for _, name := range [...]string{"Cache-Control", "Content-Location", "Date", "Etag", "Expires", "Vary", "Cache-Status"} {
			if values := e.header[name]; values != nil {
				to[name] = slices.Clone(values)
			}
		}
		return http.StatusNotModified, nil
	}
	maps.Copy(to, e.header)
	if e.status != http.StatusNoContent {
		to["Content-Length"] = []string{strconv.Itoa(len(e.body))}
	}
	return e.status, e.body
}
