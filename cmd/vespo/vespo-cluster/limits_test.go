package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
)

// startLimits starts a host with an engine for rate limits.
func (h *host) startLimits(engine string) {
	h.t.Helper()
	before := h.args
	h.args = append(slices.Clone(before), "--limits", engine)
	h.start()
	h.args = before
}

// admitted sends requests to hosts in turn, and returns how many were not beyond the rate.
func admitted(t *testing.T, requests int, path string, hosts ...*host) (n int) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for i := range requests {
		resp, err := client.Get(hosts[i%len(hosts)].url + path)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		if resp.StatusCode != http.StatusTooManyRequests {
			require.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode)
			n++
		}
	}
	return n
}

// TestSharedRates limits a service on two hosts together. Without the engine each host has the limit, and requests go on.
func TestSharedRates(t *testing.T) {
	engine := enginetest.StartRedis(t, "--appendonly", "no")
	proxy := enginetest.StartProxy(t, engine.Address)
	a, b := newKVHost(t), newKVHost(t)
	add := func(prefix, burst string) {
		for _, h := range []*host{a, b} {
			status, answer := h.post("/services/add", url.Values{
				"prefix": {prefix}, "redirect": {"https://example.com"}, "rate": {"1/h"}, "burst": {burst},
			}, nil)
			require.Equal(t, http.StatusCreated, status, answer)
		}
	}
	for _, h := range []*host{a, b} {
		h.startLimits("redis://" + proxy.Address)
	}
	known := func(h *host) bool { return h.metric("vespo_rate_limit_told_total") != "0" }
	add("one", "20")
	require.Equal(t, 20, admitted(t, 30, "/one", a))
	a.eventually(func() bool { return known(a) })
	require.Equal(t, 1, admitted(t, 1, "/one", b), "it does not wait for the engine")
	b.eventually(func() bool { return admitted(t, 1, "/one", b) == 0 }) // with the reply, all is used up

	for name, fault := range map[string]struct{ begin, end func() }{
		"killed": {engine.Kill, func() { engine.Run(t) }},
		"cut": {
			func() {
				proxy.DropReplies(true)
				proxy.Cut()
			},
			func() { proxy.DropReplies(false) },
		},
	} {
		fault.begin()
		add(name, "10")
		require.Equal(t, 20, admitted(t, 60, "/"+name, a, b), name)
		for _, h := range []*host{a, b} {
			h.eventually(func() bool { return h.metric("vespo_rate_limit_engine_away") == "1" })
			require.Contains(t, h.log.String(), "the engine of the rate limits cannot be used")
		}
		fault.end()
		add(name+"-back", "700")
		for _, h := range []*host{a, b} {
			h.eventually(func() bool {
				admitted(t, 1, "/"+name+"-back", h)
				return h.metric("vespo_rate_limit_engine_away") == "0"
			})
			h.eventually(func() bool {
				return strings.Contains(h.log.String(), "the engine of the rate limits can be used again")
			})
		}
		add(name+"-again", "20")
		require.Equal(t, 20, admitted(t, 30, "/"+name+"-again", a))
		b.eventually(func() bool { return admitted(t, 1, "/"+name+"-again", b) == 0 })
	}
}
