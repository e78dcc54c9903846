package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// counting is an upstream that counts the requests that reach it. Its answers may be kept.
type counting struct {
	url  string
	runs atomic.Int64
}

func startCounting(t testing.TB) *counting {
	u := new(counting)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := u.runs.Add(1)
		w.Header().Set("Cache-Control", "max-age=600")
		if r.URL.Query().Has("vary") {
			w.Header().Set("Vary", "Accept-Language")
		}
		_, _ = fmt.Fprintf(w, "%d %s", n, r.Header.Get("Accept-Language"))
	}))
	t.Cleanup(server.Close)
	u.url = server.URL
	return u
}

// cachingHosts starts hosts of one catalogue; engine may be empty. Their service /c has a cache.
func cachingHosts(t testing.TB, n int, engine string, upstream *counting) (hosts []*host) {
	store := etcdtest.Start(t).URL("cache")
	for range n {
		h := newHost(t, store)
		if engine != "" {
			h.args = append(h.args, "--cache-store", engine)
		}
		h.start()
		hosts = append(hosts, h)
	}
	deployCached(hosts, upstream, "1m")
	return hosts
}

// deployCached deploys the service /c, and waits until all hosts have it and use the engine.
func deployCached(hosts []*host, upstream *counting, timeout string) {
	h := hosts[0]
	h.t.Helper()
	status, answer := h.post("/services/add", url.Values{"prefix": {"c"}, "upstream": {upstream.url}, "cache": {"true"}, "timeout": {timeout}}, nil)
	require.Contains(h.t, []int{http.StatusCreated, http.StatusOK}, status, answer)
	for _, h := range hosts {
		h.eventually(func() bool { return strings.Contains(h.body("/services/inspect?prefix=c"), timeout) })
	}
}

// cachedHost is the host that clients name: as behind a load balancer, it is the same for all servers.
const cachedHost = "c.example"

// asked asks a host, and returns the body and what Cache-Status says.
func (h *host) asked(path string, lines ...string) (body, status string) {
	h.t.Helper()
	r, err := http.NewRequest(http.MethodGet, h.url+path, nil)
	require.NoError(h.t, err)
	r.Host = cachedHost
	for i := 0; i < len(lines); i += 2 {
		r.Header.Set(lines[i], lines[i+1])
	}
	resp, err := h.client.Do(r)
	require.NoError(h.t, err)
	defer resp.Body.Close()
	require.Equal(h.t, http.StatusOK, resp.StatusCode)
	text, err := io.ReadAll(resp.Body)
	require.NoError(h.t, err)
	return string(text), resp.Header.Get("Cache-Status")
}

// change changes a target.
func (h *host) change(path string) {
	h.t.Helper()
	r, err := http.NewRequest(http.MethodPost, h.url+path, nil)
	require.NoError(h.t, err)
	r.Host = cachedHost
	resp, err := h.client.Do(r)
	require.NoError(h.t, err)
	require.NoError(h.t, resp.Body.Close())
	require.Equal(h.t, http.StatusOK, resp.StatusCode)
}

// number is metric as a number.
func (h *host) number(name string) float64 {
	h.t.Helper()
	n, err := strconv.ParseFloat(h.metric(name), 64)
	require.NoError(h.t, err, name)
	return n
}

// slow returns how many requests had no reply of the engine in time.
func (h *host) slow() float64 {
	return h.number("vespo_cache_shared_failed_total") + h.number("vespo_cache_shared_skipped_total")
}

// inTime calls f with hosts that use the engine, again if one of them was too busy for that.
func inTime(t *testing.T, hosts []*host, f func(try int) (done bool)) {
	t.Helper()
	for try := range 50 {
		before := 0.0
		for _, h := range hosts {
			h.eventually(func() bool { return h.metric("vespo_cache_engine_away") == "0" })
			before += h.slow()
		}
		if f(try) {
			return
		}
		for _, h := range hosts {
			before -= h.slow()
		}
		require.True(t, before != 0 || try == 0, "it was not shared, and no host was slow") // the first answer of a service makes its mark alone
	}
	require.Fail(t, "the machine is too busy")
}

// shares asks a host for a target that it has no answer to, and reports whether the engine has the answer then.
func (h *host) shares(path string, lines ...string) (body string, ok bool) {
	h.t.Helper()
	written, slow := h.number("vespo_cache_shared_written_total"), h.slow()
	body, _ = h.asked(path, lines...)
	return body, within(3*time.Second, func() bool { return h.number("vespo_cache_shared_written_total") > written || h.slow() > slow }) && h.slow() == slow
}

// gets reports whether a host gets an answer from the engine, once.
func (h *host) gets(want, path string, lines ...string) bool {
	h.t.Helper()
	got, status := h.asked(path, lines...)
	if !strings.Contains(status, "; detail=shared") {
		return false
	}
	require.Equal(h.t, want, got)
	require.Contains(h.t, status, "vespo; hit; ttl=")
	_, status = h.asked(path, lines...)
	require.Contains(h.t, status, "vespo; hit; ttl=")
	require.NotContains(h.t, status, "shared", "it is in memory now")
	return true
}

// share asks a host for a target, and requires that others get the answer from the engine. It returns the target and the answer.
func share(t *testing.T, path string, from *host, others ...*host) (target, body string) {
	t.Helper()
	inTime(t, append([]*host{from}, others...), func(try int) (ok bool) {
		target = fmt.Sprint(path, "-", try)
		body, ok = from.shares(target)
		for _, h := range others {
			ok = ok && h.gets(body, target)
		}
		return ok
	})
	return target, body
}

// TestHostsShareAnswers checks what hosts get of each other, and what ends it.
func TestHostsShareAnswers(t *testing.T) {
	engine, upstream := enginetest.StartRedis(t, "--appendonly", "no"), startCounting(t)
	hosts := cachingHosts(t, 2, "redis://"+engine.Address, upstream)
	a, b := hosts[0], hosts[1]
	share(t, "/c/one", a, b)
	share(t, "/c/two", b, a)

	inTime(t, hosts, func(try int) bool {
		target := fmt.Sprint("/c/v", try, "?vary")
		body, ok := a.shares(target, "Accept-Language", "eo")
		other, too := a.shares(target, "Accept-Language", "de")
		require.NotEqual(t, body, other)
		got, _ := b.asked(target, "Accept-Language", "fr")
		require.NotContains(t, []string{body, other}, got)
		return ok && too && b.gets(body, target, "Accept-Language", "eo") && b.gets(other, target, "Accept-Language", "de")
	})

	// A POST on one host removes the answer for all.
	target, before := share(t, "/c/p", a, b)
	a.change(target)
	for _, h := range hosts {
		h.eventually(func() bool { now, _ := h.asked(target); return now != before })
	}

	// A purge on one host reaches the others.
	purged := map[*host]string{}
	for _, h := range hosts {
		purged[h], _ = h.asked("/c/q")
	}
	out, err := b.vespo("", "cache", "purge", "c")
	require.NoError(t, err, out)
	for _, h := range hosts {
		h.eventually(func() bool { now, _ := h.asked("/c/q"); return now != purged[h] })
	}

	// A deploy begins with an empty cache on all hosts.
	target, before = share(t, "/c/three", a, b)
	runs := upstream.runs.Load()
	for _, h := range hosts {
		last, _ := h.asked(target)
		require.Equal(t, before, last)
	}
	require.Equal(t, runs, upstream.runs.Load(), "the service has not run for these")
	deployCached(hosts, upstream, "50s")
	for _, h := range hosts {
		now, _ := h.asked(target)
		require.NotEqual(t, before, now)
	}
}

// TestHostsWithoutAStoreKeepTheirOwn has hosts of one catalogue and no engine.
func TestHostsWithoutAStoreKeepTheirOwn(t *testing.T) {
	upstream := startCounting(t)
	hosts := cachingHosts(t, 3, "", upstream)
	for range 3 {
		for i, h := range hosts {
			body, _ := h.asked("/c/own")
			require.Equal(t, fmt.Sprintf("%d ", i+1), body)
		}
	}
	out, err := hosts[0].vespo("", "cache", "purge", "c")
	require.NoError(t, err, out)
	body, _ := hosts[0].asked("/c/own")
	require.Equal(t, "4 ", body)
	body, _ = hosts[1].asked("/c/own")
	require.Equal(t, "2 ", body)
}

// TestCacheWithoutItsEngine takes the engine away in several ways, and returns it. All requests are answered, and few have waited.
func TestCacheWithoutItsEngine(t *testing.T) {
	engine, upstream := enginetest.StartRedis(t, "--appendonly", "no"), startCounting(t)
	proxy := enginetest.StartProxy(t, engine.Address)
	engine.Kill()
	hosts := cachingHosts(t, 2, "redis://"+proxy.Address, upstream)
	a, b := hosts[0], hosts[1]
	for i := range 20 {
		_, status := a.asked(fmt.Sprint("/c/start", i))
		require.Contains(t, status, "stored")
	}
	require.Zero(t, a.number("vespo_cache_shared_failed_total"), "no request asks an engine that has never answered")
	engine.Run(t)
	share(t, "/c/begin", a, b)
	for _, fault := range []struct {
		name       string
		begin, end func()
	}{
		{"paused", func() { engine.Pause(t) }, func() { engine.Resume(t) }},
		{"killed", engine.Kill, func() { engine.Run(t) }},
		{"cut", func() { proxy.DropReplies(true); proxy.Cut() }, func() { proxy.DropReplies(false) }},
	} {
		changed, _ := a.asked("/c/changed-" + fault.name)
		same, _ := a.asked("/c/changed-" + fault.name)
		require.Equal(t, changed, same)
		failed := b.number("vespo_cache_shared_failed_total")
		fault.begin()
		for i := range 100 {
			target := fmt.Sprint("/c/", fault.name, i)
			first, _ := b.asked(target)
			second, status := b.asked(target)
			require.Equal(t, first, second)
			require.Contains(t, status, "vespo; hit; ttl=")
		}
		require.LessOrEqual(t, b.number("vespo_cache_shared_failed_total"), failed+5, "of 100 requests, those before it was noted have waited")
		b.eventually(func() bool { return b.metric("vespo_cache_engine_away") == "1" })
		a.change("/c/changed-" + fault.name)
		now, _ := a.asked("/c/changed-" + fault.name)
		require.NotEqual(t, changed, now)
		fault.end()
		for _, h := range hosts {
			h.eventually(func() bool { return h.metric("vespo_cache_shared_removals") == "0" })
			h.eventually(func() bool { now, _ := h.asked("/c/changed-" + fault.name); return now != changed })
		}
		share(t, "/c/after-"+fault.name, a, b)
	}
	for _, h := range hosts {
		require.Contains(t, h.log.String(), "the engine of the cache cannot be used")
		require.Contains(t, h.log.String(), "the engine of the cache can be used again")
	}
	require.Positive(t, b.number("vespo_cache_shared_resets_total"), "the engine that was killed has lost its log")
}
