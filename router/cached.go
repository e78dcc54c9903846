package router

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// cacheStatus is the field with the result at the cache, RFC 9211.
const cacheStatus = "Cache-Status"

// caching is the state of a request at the cache of its service.
type caching struct {
	cache  *cache.Cache // immutable
	key    cache.Key    // immutable
	fill   *cache.Fill  // nil if the answer is not recorded
	status string       // member of Cache-Status
	unsafe bool         // the request may change its target
	tee    bool         // fill takes the body
	broken bool         // a part of the body could not be sent
	failed bool         // the service has failed, and the client gets a stale answer instead
	stale  []byte       // body of that answer
}

// fromCache answers the request from the cache of its service. It reports false if the service has to answer; the answer is recorded
// then if it may be. Requests of the server itself are left alone. A request for a report of its costs always reaches the service.
func (x *exchange) fromCache(c *cache.Cache) (done bool, err error) {
	if x.only != "" {
		return false, nil
	}
	r := x.request.Request
	key, exact := cacheKey(r, &x.request.Client)
	k := &caching{cache: c, key: key}
	x.writer.caching = k
	q, ok := cache.NewRequest(r, key, time.Now())
	if !ok || !exact || x.writer.report != nil {
		c.Pass()
		k.unsafe = !safe(r.Method)
		k.pass(x, cache.WhyBypass)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			k.pass(x, cache.WhyMethod)
		}
		return false, nil
	}
	found, err := c.Fetch(r.Context(), &q)
	x.record.QueueWait += found.Waited
	switch {
	case err != nil:
		return true, err
	case found.Hit != nil:
		return true, x.answerHit(k, &found)
	case q.OnlyIfCached():
		x.record.Cache, x.route = accesslog.CacheAbsent, nil // not a failure of the service
		k.status = "vespo; fwd=" + string(found.Why) + "; fwd-status=504"
		return true, problem.New(problem.NotCached, "the request allows only a stored answer, and there is none")
	}
	k.fill = found.Fill
	k.pass(x, found.Why)
	if x.record.Cache = accesslog.CacheMiss; found.Collapsed {
		k.status += "; collapsed"
	}
	return false, nil
}

// pass notes that the service answers the request.
func (k *caching) pass(x *exchange, why cache.Why) {
	x.record.Cache = accesslog.CacheBypass
	k.status = "vespo; fwd=" + string(why)
}

// answerHit sends a stored answer.
func (x *exchange) answerHit(k *caching, found *cache.Found) error {
	hit := found.Hit
	defer hit.Release()
	x.record.Cache = accesslog.CacheHit
	if hit.Stale() {
		x.record.Cache = accesslog.CacheStale
	}
	k.status = "vespo; hit; ttl=" + strconv.FormatInt(floorSeconds(hit.TTL()), 10)
	if found.Shared {
		k.status += "; detail=shared"
	}
	if found.Collapsed && !found.Shared {
		k.status = "vespo; fwd=" + string(cache.WhyMiss) + "; collapsed"
	}
	to := client.NewWriter(&x.writer, x.request.Request, context.Background()) // bounded by the size of an answer and client.Patience
	defer to.Finish()
	status, body := hit.Answer(to.Header())
	to.WriteHeader(status)
	if len(body) > 0 {
		_, _ = to.Write(body) // the error is that of Failure
	}
	x.ended = time.Now()
	if errors.Is(to.Err(), http.ErrBodyNotAllowed) {
		return nil
	}
	return to.Failure()
}

// floorSeconds returns whole seconds, rounded down.
func floorSeconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d < 0 && d%time.Second != 0 {
		s--
	}
	return s
}

// answered is called with the final status, before the response is sent. It adds the member of Cache-Status, and returns the status to
// send: that of a stale answer, if the service has failed and there is one.
func (k *caching) answered(x *exchange, status int, h http.Header) int {
	member := k.status
	if k.fill != nil {
		now := time.Now()
		hit, reason := k.fill.Instead(status, now), k.fill.Answer(status, h, now)
		switch {
		case hit != nil: // a failure is not stored
			k.failed = true
			member += "; fwd-status=" + strconv.Itoa(status) + "; ttl=" + strconv.FormatInt(floorSeconds(hit.TTL()), 10) + "; detail=stale-if-error"
			x.record.Cache = accesslog.CacheRescue
			x.restoreHeader()
			status, k.stale = hit.Answer(h)
		case reason == "":
			k.tee = true
			member += "; stored"
		default:
			member += "; detail=" + reason
		}
	}
	k.invalidate(status)
	h.Add(cacheStatus, member)
	return status
}

// rescued reports whether the service has failed and the client gets a stale answer instead.
func (w *responseWriter) rescued() bool { return w.caching != nil && w.caching.failed }

// sendStale sends the body of a stale answer.
func (w *responseWriter) sendStale() {
	body := w.caching.stale
	w.caching.stale = nil
	if w.tee != nil {
		w.tee.spoil() // it is not the answer of the service
	}
	if len(body) == 0 {
		return
	}
	n, err := w.inner.Write(body)
	w.noteSent(err)
	w.count(int64(n))
}

// invalidate removes the stored answers of a target that the request has changed.
func (k *caching) invalidate(status int) {
	if k.unsafe && status >= 200 && status < 400 {
		k.cache.Invalidate(k.key)
		other := k.key // a client of the other scheme asks for the same target
		if after, ok := strings.CutPrefix(k.key.Authority, "http:"); ok {
			other.Authority = "https:" + after
		} else {
			other.Authority = "http:" + strings.TrimPrefix(k.key.Authority, "https:")
		}
		k.cache.Invalidate(other)
	}
}

// endCaching ends the recording of an answer. complete reports whether the client was sent all of it.
func (x *exchange) endCaching(complete bool) {
	k := x.writer.caching
	if k == nil {
		return
	}
	if k.fill != nil {
		k.fill.End(complete && !k.broken && x.writer.tunnel == nil, x.writer.Header())
	}
	k.invalidate(x.writer.status) // the target may have changed since the header
}

// fill returns the recording that takes the body of the response; nil if there is none.
func (w *responseWriter) fill() *cache.Fill {
	if w.caching == nil || !w.caching.tee {
		return nil
	}
	return w.caching.fill
}

// noteSent notes the result of sending a part of the body.
func (w *responseWriter) noteSent(err error) {
	if err != nil && w.caching != nil {
		w.caching.broken = true // a handler may take no notice
	}
}

// cacheKey returns the key of a request. exact is false if its target is not in the form that the key has, as that of a request
// for a proxy: the service could see the difference.
func cacheKey(r *http.Request, c *forwarded.Client) (key cache.Key, exact bool) {
	target := rawPath(r.URL)
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		target += "?" + r.URL.RawQuery
	}
	authority := c.Scheme + "://" + strings.ToLower(c.Host)
	if c.Port != "" || c.Prefix != "" {
		authority += " " + c.Port + " " + c.Prefix
	}
	return cache.Key{Authority: authority, Target: target}, target == r.RequestURI
}

// safe reports whether requests with the method change nothing, RFC 9110 section 9.2.1.
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}
