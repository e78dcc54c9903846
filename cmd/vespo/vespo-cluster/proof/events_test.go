package proof

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/proof/history"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// engineName is the name of the engine of events in the network.
const engineName = "postgres"

// eventService is on two of the hosts. It passes events on to a receiver of the test.
const eventService = "events"

// eventPause is the time between two events of a client.
const eventPause = 150 * time.Millisecond

// eventClients invoke the service by all hosts.
type eventClients struct {
	*clients

	mu   sync.Mutex
	sent []history.Event // guarded by mu
	runs map[string]int  // guarded by mu; by event
}

// newEventClients deploys the service.
func newEventClients(t *testing.T, c *clients) *eventClients {
	t.Helper()
	e := &eventClients{clients: c, runs: make(map[string]int)}
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id, err := io.ReadAll(r.Body)
		if err != nil {
			return // the host was killed
		}
		e.mu.Lock()
		e.runs[string(id)]++
		e.mu.Unlock()
	}))
	t.Cleanup(receiver.Close)
	module := guests.SDK(t, "fetch")
	c.mu.Lock()
	c.contents[registry.DigestOf(module)] = eventService
	c.mu.Unlock()
	client := c.hosts[0].client
	limit := client.Timeout
	client.Timeout = 4 * patience // nothing has compiled it before, and the race detector makes that slow
	x := c.change(c.hosts[0], history.Change{Action: history.Deploy, Service: eventService, Content: eventService}, "/services/add", url.Values{
		"prefix": {eventService}, "replicas": {"2"}, "allow": {receiver.URL}, "config": {"upstream=" + receiver.URL},
	}, module)
	client.Timeout = limit
	require.Equal(t, history.Acknowledged, x.Outcome, x.Detail)
	return e
}

// run invokes the service by a host until stop is closed.
func (e *eventClients) run(h *host, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(eventPause):
		}
		x := history.Event{ID: fmt.Sprintf("e%d", e.next.Add(1)), Outcome: history.Unknown}
		status, answer := h.invoke(x.ID)
		switch {
		case status == http.StatusAccepted:
			x.Outcome = history.Acknowledged
		case status == http.StatusServiceUnavailable && strings.Contains(answer, "cannot be accepted"):
			x.Outcome = history.Refused
		}
		e.mu.Lock()
		e.sent = append(e.sent, x)
		e.mu.Unlock()
	}
}

// invoke sends an event. The status is 0 without an answer.
func (h *host) invoke(id string) (status int, answer string) {
	payload := fmt.Sprintf(`{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":"POST"}},"body":%q}`, id)
	r, err := http.NewRequest(http.MethodPost, h.api+"/2015-03-31/functions/"+eventService+"/invocations", strings.NewReader(payload))
	require.NoError(h.t, err)
	r.Header.Set("X-Amz-Invocation-Type", "Event")
	resp, err := h.client.Do(r)
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

// all returns the events with their runs.
func (e *eventClients) all() (all []history.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.sent {
		x.Runs = e.runs[x.ID]
		all = append(all, x)
	}
	return all
}

// settle waits until all accepted events have run, at most for patience. The check of the history finds the others.
func (e *eventClients) settle() {
	within(patience, func() bool {
		for _, x := range e.all() {
			if x.Outcome == history.Acknowledged && x.Runs == 0 {
				return false
			}
		}
		return true
	})
}

func lacksEngine(l *lab) string {
	if l.engine == nil {
		return "there is no PostgreSQL"
	}
	return ""
}

// killEngine ends the engine of events, which recovers.
func (l *lab) killEngine() {
	l.engine.Kill(l.t)
	l.moment()
	l.engine.Run(l.t)
}
