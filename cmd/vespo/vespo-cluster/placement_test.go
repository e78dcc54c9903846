package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// labelled starts a host with labels.
func labelled(t *testing.T, store string, labels ...string) *host {
	h := newHost(t, store)
	if len(labels) > 0 {
		h.args = append(h.args, "--label", strings.Join(labels, ","))
	}
	h.start()
	return h
}

// addOn deploys a module with a placement.
func (h *host) addOn(prefix, module string, fields url.Values) (status int, answer string) {
	fields.Set("prefix", prefix)
	return h.post("/services/add", fields, guest(h.t, module))
}

// knows waits until the host knows n others among which services choose.
func (h *host) knows(n int) {
	h.t.Helper()
	h.eventually(func() bool {
		return strings.Contains(h.body("/services/metrics"), fmt.Sprintf("vespo_placement_hosts %d\n", n))
	})
}

// TestServicesAreOnLabelledHosts deploys for a label on a host without it. All hosts serve it by the one that has the label, which
// alone has loaded it, also while etcd is away.
func TestServicesAreOnLabelledHosts(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	url1 := server.URL("on")
	a, b, c := labelled(t, url1), labelled(t, url1, "zone=b", "gpu"), labelled(t, url1, "zone=c")
	all := []*host{a, b, c}
	for _, h := range all {
		h.knows(2)
	}
	status, answer := a.addOn("/hello", "hello", url.Values{"on": {"zone=d"}})
	require.Equal(t, http.StatusBadRequest, status, answer)
	require.Contains(t, answer, "no host that is up has these labels")
	status, answer = a.addOn("/hello", "hello", url.Values{"on": {"zone=b", "gpu"}})
	require.Equal(t, http.StatusCreated, status, answer)
	require.Equal(t, "hello from vespo", a.body("/hello"), "the host that was asked waits for the holder")
	for _, h := range all {
		h.eventually(func() bool { return h.body("/hello") == "hello from vespo" })
	}
	require.Contains(t, a.body("/services/inspect?prefix=hello"), `"state":"elsewhere"`)
	require.Contains(t, c.body("/services/inspect?prefix=hello"), `"state":"elsewhere"`)
	require.Contains(t, b.body("/services/inspect?prefix=hello"), `"state":"ready"`)
	require.Positive(t, a.counted("vespo_forward_requests_total", `result="served"`))

	server.Kill(t)
	for _, h := range all {
		require.Equal(t, "hello from vespo", h.body("/hello"))
	}
	a.kill()
	a.start()
	require.Equal(t, "hello from vespo", a.body("/hello"), "it knows the host since before")
	server.Run(t)
	server.Wait(t)

	b.kill()
	status, answer = a.get("/hello")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, answer, "https://vespo.dev/problems/no-host")
	require.NotContains(t, answer, "127.0.0.1")
	b.start()
	for _, h := range all {
		h.eventually(func() bool { return h.body("/hello") == "hello from vespo" })
	}
}

// get returns the status and the body of an answer; 0 without one.
func (h *host) get(path string) (status int, body string) {
	resp, err := h.client.Get(h.url + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// loaded returns which of the hosts serve a service themselves.
func loaded(all []*host, prefix string) (holders string) {
	for _, h := range all {
		held := "-"
		if answer := h.body("/services/inspect?prefix=" + prefix); strings.Contains(answer, `"state":`) && !strings.Contains(answer, `"state":"elsewhere"`) {
			held = "x"
		}
		holders += held
	}
	return holders
}

// each asks all hosts for services, which all answer.
func each(t *testing.T, hosts []*host, services int, why string) {
	t.Helper()
	for _, h := range hosts {
		for i := range services {
			status, answer := h.get(fmt.Sprintf("/s%d", i))
			require.Equal(t, http.StatusOK, status, "%s, /s%d: %s", why, i, answer)
		}
	}
}

// placed returns which of the hosts serve each of n services themselves.
func placed(hosts []*host, n int) (texts []string) {
	for i := range n {
		texts = append(texts, loaded(hosts, fmt.Sprintf("s%d", i)))
	}
	return texts
}

// TestReplicas places services on two hosts of three. All hosts serve all the time, while a host is drained and comes back, and
// another one dies. Only services of these hosts move.
func TestReplicas(t *testing.T) {
	t.Parallel()
	const services = 8
	server := etcdtest.Start(t)
	url1 := server.URL("replicas") + "?lease=5s"
	a, b, c := newHost(t, url1), newHost(t, url1), newHost(t, url1)
	all := []*host{a, b, c}
	drained := b.listenForPeers()
	for _, h := range all {
		h.start()
	}
	for _, h := range all {
		h.knows(2)
	}
	for i := range services {
		status, answer := all[i%3].addOn(fmt.Sprintf("/s%d", i), "hello", url.Values{"replicas": {"2"}})
		require.Equal(t, http.StatusCreated, status, answer)
	}
	last := fmt.Sprintf("/s%d", services-1)
	for _, h := range all {
		h.eventually(func() bool { return h.status(last) == http.StatusOK })
	}
	each(t, all, services, "at first")
	var first []string
	a.eventually(func() bool {
		first = placed(all, services)
		for _, text := range first {
			if strings.Count(text, "x") != 2 {
				return false
			}
		}
		return true
	})

	status, answer := a.post("/services/hosts/drain", url.Values{"host": {drained}}, nil)
	require.Equal(t, http.StatusOK, status, answer)
	moved := func() bool {
		each(t, all, services, "while they move")
		for _, text := range placed(all, services) {
			if text[0] != 'x' || text[2] != 'x' {
				return false
			}
		}
		return true
	}
	a.eventually(moved)
	b.kill()
	each(t, []*host{a, c}, services, "after the drain")
	b.start()
	status, answer = a.post("/services/hosts/undrain", url.Values{"host": {drained}}, nil)
	require.Equal(t, http.StatusOK, status, answer)
	a.eventually(func() bool {
		each(t, all, services, "when it is back")
		return fmt.Sprint(placed(all, services)) == fmt.Sprint(first)
	})

	c.kill()
	each(t, []*host{a, b}, services, "after a death")
	a.eventually(func() bool {
		each(t, []*host{a, b}, services, "after a death")
		return !slices.ContainsFunc(placed([]*host{a, b}, services), func(text string) bool { return text != "xx" })
	})
}

// TestPlacementChanges moves a service between labels, under requests to all hosts. Each host answers with what it has
// acknowledged or with something newer.
func TestPlacementChanges(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	url1 := server.URL("moves")
	all := []*host{labelled(t, url1, "n=0"), labelled(t, url1, "n=1"), labelled(t, url1, "n=2")}
	for _, h := range all {
		h.knows(2)
	}
	fields := func(i int) url.Values {
		return url.Values{"on": {fmt.Sprintf("n=%d", i%3)}, "config": {fmt.Sprintf("ROUND=%d", i)}}
	}
	status, answer := all[0].addOn("/hello", "hello", fields(0))
	require.Equal(t, http.StatusCreated, status, answer)
	for i := range 12 {
		h := all[(i+i/3)%3]
		status, answer := h.addOn("/hello", "hello", fields(i))
		require.Equal(t, http.StatusOK, status, answer)
		for _, h := range append([]*host{h}, all...) {
			status, answer := h.get("/hello")
			require.Equal(t, http.StatusOK, status, "round %d: %s", i, answer)
		}
		want := []string{"x--", "-x-", "--x"}[i%3]
		h.eventually(func() bool { return loaded(all, "hello") == want })
	}
	status, answer = all[1].post("/services/rollback", url.Values{"prefix": {"/hello"}}, nil)
	require.Equal(t, http.StatusOK, status, answer)
	all[1].eventually(func() bool { return loaded(all, "hello") == "-x-" })
	status, answer = all[2].addOn("/hello", "hello", url.Values{"unset": {"on"}})
	require.Equal(t, http.StatusOK, status, answer)
	all[1].eventually(func() bool { return loaded(all, "hello") == "xxx" })
}

// TestHoldersThatCannotServe places a service on two hosts, of which one has less memory than it needs. That one's clients are
// served by the other, also while it starts, and vespo hosts lists the service.
func TestHoldersThatCannotServe(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	url1 := server.URL("small")
	large, front := labelled(t, url1, "on"), labelled(t, url1)
	small := newHost(t, url1)
	small.args = append(small.args, "--label", "on", "--memory", "64KiB")
	small.start()
	all := []*host{large, front, small}
	for _, h := range all {
		h.knows(2)
	}
	status, answer := large.addOn("/secret", "secret", url.Values{"on": {"on"}})
	require.Equal(t, http.StatusCreated, status, answer)
	small.eventually(func() bool {
		return strings.Contains(small.body("/services/inspect?prefix=secret"), `"state":"failed"`)
	})
	serve := func() {
		t.Helper()
		for range 4 {
			for _, h := range all {
				status, answer := h.get("/secret")
				require.Equal(t, http.StatusOK, status, answer)
			}
		}
	}
	front.eventually(func() bool { return front.status("/secret") == http.StatusOK })
	serve()
	front.eventually(func() bool {
		return strings.Contains(front.body("/services/hosts"), `"failing":1,"unavailable":["/secret"]`)
	})
	serve()
	small.kill()
	small.start()
	serve()

	large.kill()
	for _, h := range []*host{front, small} { // the first request may meet a connection that has just broken, and get 502
		h.eventually(func() bool { return h.status("/secret") == http.StatusServiceUnavailable })
		status, answer = h.get("/secret")
		require.Equal(t, http.StatusServiceUnavailable, status, answer)
	}
	require.Contains(t, answer, "problems/not-ready")
}

// TestStoppedHolder stops one of two holders. Requests to a third host may fail if they were on their way to it, and are served by the
// other holder after that. The first one does not wait for the time limit.
func TestStoppedHolder(t *testing.T) {
	server := etcdtest.Start(t)
	url1 := server.URL("stopped")
	front, b, c := labelled(t, url1), labelled(t, url1, "on"), labelled(t, url1, "on")
	all := []*host{front, b, c}
	for _, h := range all {
		h.knows(2)
	}
	status, answer := front.addOn("/hello", "hello", url.Values{"on": {"on"}, "timeout": {"1m"}})
	require.Equal(t, http.StatusCreated, status, answer)
	for _, h := range all {
		h.eventually(func() bool { return h.status("/hello") == http.StatusOK })
	}
	for range 8 {
		require.Equal(t, http.StatusOK, front.status("/hello"))
	}
	require.NoError(t, b.program.Process.Signal(syscall.SIGSTOP))
	failed := 0
	for range 20 {
		began := time.Now()
		status, answer := front.get("/hello")
		t.Logf("%d after %s", status, time.Since(began).Round(time.Millisecond))
		if status != http.StatusOK {
			require.Equal(t, http.StatusBadGateway, status, answer)
			failed++
		}
	}
	require.LessOrEqual(t, failed, 1, "the host is asked last from then on")
}
