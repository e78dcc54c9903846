package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// TestEventsRunOnTheirHosts accepts events of a placed service on all hosts. The hosts with the label run them, and no other
// tries; when these are gone, the events wait for the next one.
func TestEventsRunOnTheirHosts(t *testing.T) {
	t.Parallel()
	const each = 10
	server, engine := etcdtest.Start(t), enginetest.StartPostgres(t)
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	var hosts []*host
	var apis []string
	for n := range 3 {
		h, api := newHost(t, server.URL("events")+"?lease=5s"), freeAddress(t)
		h.args = append(h.args, "--queues", "postgres://postgres@"+engine.Address+"/postgres", "--lambda-listen", api)
		if n > 0 {
			h.args = append(h.args, "--label", "gpu")
		}
		if n < 2 {
			h.start()
		}
		hosts, apis = append(hosts, h), append(apis, "http://"+api)
	}
	a, b, c := hosts[0], hosts[1], hosts[2]
	a.knows(1)
	status, answer := a.addOn("/fn", "hello", url.Values{"on": {"gpu"}})
	require.Equal(t, http.StatusCreated, status, answer)
	require.Equal(t, "hello from vespo", a.body("/fn"))
	accept := func(api string) {
		for n := range each {
			status, answer := invoke(client, api, "Event", fmt.Sprint(n))
			require.Equal(t, http.StatusAccepted, status, answer)
		}
	}
	none := func(h *host) bool { return strings.Contains(h.body("/services/metrics"), "\nvespo_lambda_events 0\n") }
	served := func(h *host) float64 { return h.counted("vespo_requests_total", `service="/fn"`) }
	tried := func() float64 { return a.counted("vespo_service_admitted_total", `service="/fn"`) }
	before, passed := served(b), tried()
	accept(apis[0])
	accept(apis[1])
	b.eventually(func() bool { return served(b)-before >= 2*each && none(b) })
	require.Equal(t, passed, tried(), "this host has tried none")

	b.kill()
	accept(apis[0])
	c.start()
	c.eventually(func() bool { return served(c) >= each && none(c) })
	require.Equal(t, passed, tried())
	require.NotContains(t, a.log.String()+c.log.String(), "dead letter")
}

// TestEventsOfTheFile starts a host with an engine after it has accepted an event without one. The log names the event and the remedy.
func TestEventsOfTheFile(t *testing.T) {
	engine, api := enginetest.StartPostgres(t), freeAddress(t)
	began, end := make(chan struct{}, 10), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		began <- struct{}{}
		<-end
	}))
	defer upstream.Close()
	defer close(end)
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	h := newKVHost(t)
	h.args = append(h.args, "--lambda-listen", api)
	h.start()
	h.addReceiver(upstream.URL)
	status, answer := invoke(client, "http://"+api, "Event", "waits")
	require.Equal(t, http.StatusAccepted, status, answer)
	<-began
	h.kill()
	h.startQueues("postgres://postgres@" + engine.Address + "/postgres")
	require.Contains(t, h.log.String(), "start once without --queues to run them")
	require.Contains(t, h.log.String(), "events=1")
	require.Contains(t, h.body("/services/metrics"), "\nvespo_lambda_events 0\n")
	h.kill()
	h.start()
	<-began // the file has it still
}
