package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/proof/history"
	"github.com/vespo-dev/vespo/registry"
)

const services = 4

func serviceName(n int) string { return fmt.Sprintf("s%d", n) }

// clients change and call the services of hosts, and record what they see.
type clients struct {
	hosts  []*host
	module []byte // whose answer is text
	text   []byte
	clock  atomic.Int64
	next   atomic.Int64 // contents

	mu       sync.Mutex
	history  history.History            // guarded by mu
	contents map[registry.Digest]string // guarded by mu: what modules answer
}

func newClients(t *testing.T, hosts []*host) *clients {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "testdata", "guests", "wat", "hello.wasm"))
	require.NoError(t, err)
	c := &clients{hosts: hosts, module: module, text: []byte("hello from vespo"), contents: make(map[registry.Digest]string)}
	require.Equal(t, 1, bytes.Count(module, c.text))
	return c
}

// moduleOf returns a module that answers with a content.
func (c *clients) moduleOf(content string) []byte {
	module := bytes.Replace(c.module, c.text, fmt.Appendf(nil, "%-*s", len(c.text), content), 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.contents[registry.DigestOf(module)] = content
	return module
}

// deploy deploys a module, or a redirect, with a new content.
func (c *clients) deploy(h *host, service string, module bool) history.Change {
	x := history.Change{Action: history.Deploy, Service: service, Content: fmt.Sprintf("c%d", c.next.Add(1))}
	query, body := url.Values{"prefix": {service}}, []byte(nil)
	if place := placements[service]; place != nil { // modules alone can be placed
		module = true
		query.Set(place[0], place[1])
	}
	if module {
		body = c.moduleOf(x.Content)
	} else {
		query.Set("redirect", site+x.Content)
	}
	return c.change(h, x, "/services/add", query, body)
}

func (c *clients) rollBack(h *host, service string) history.Change {
	return c.change(h, history.Change{Action: history.RollBack, Service: service}, "/services/rollback", url.Values{"prefix": {service}}, nil)
}

func (c *clients) remove(h *host, service string) history.Change {
	return c.change(h, history.Change{Action: history.Remove, Service: service}, "/services/remove", url.Values{"prefix": {service}}, nil)
}

// change sends and records a change.
func (c *clients) change(h *host, x history.Change, path string, query url.Values, body []byte) history.Change {
	x.Host, x.Life, x.Began = h.number, int(h.lives.Load()), c.clock.Add(1)
	status, answer, err := h.post(path, query, body)
	x.Ended = c.clock.Add(1)
	var made struct{ Generation int64 }
	switch {
	case errors.Is(err, errNotSent):
		x.Outcome = history.Refused
	case err != nil || strings.Contains(answer, "may have been made"):
		x.Outcome = history.Unknown
	case status/100 == 2:
		_ = json.Unmarshal([]byte(answer), &made) // a removal names none
		x.Generation = made.Generation
	default:
		x.Outcome = history.Refused
	}
	x.Detail = fmt.Sprintf("%d %.300s", status, answer)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.Changes = append(c.history.Changes, x)
	return x
}

// run makes random changes until stop is closed.
func (c *clients) run(random *rand.Rand, stop <-chan struct{}) {
	all := allServices()
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.IntN(150)) * time.Millisecond):
		}
		h, service := c.hosts[random.IntN(len(c.hosts))], all[random.IntN(len(all))]
		switch n := random.IntN(20); {
		case n < 8:
			c.deploy(h, service, true)
		case n < 14:
			c.deploy(h, service, false)
		case n < 18:
			c.rollBack(h, service)
		default:
			c.remove(h, service)
		}
	}
}

// look calls services of a host in turn until stop is closed.
func (c *clients) look(h *host, services []string, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
		c.see(h, services[n%len(services)])
	}
}

// see calls a service and records what it answers.
func (c *clients) see(h *host, service string) (content string) {
	before, draining := h.disturbed.Load(), h.draining.Load()
	s := history.Sight{Service: service, Host: h.number, Life: int(h.lives.Load()), Began: c.clock.Add(1), Placed: placements[service] != nil}
	s.Content, s.Failure = h.call(service)
	s.Ended = c.clock.Add(1)
	s.NotReady = strings.HasPrefix(s.Failure, "503") && strings.Contains(s.Failure, "/problems/not-ready")
	s.Excused = (before%2 == 1 || h.disturbed.Load() != before) && !(draining && h.draining.Load() && answered(s.Failure))
	if s.Failure == "" && int(h.lives.Load()) != s.Life {
		return s.Content // of which life is not known
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.Sights = append(c.history.Sights, s)
	return s.Content
}

// answered reports whether a failure is an answer: its text begins with the status.
func answered(failure string) bool { return failure != "" && failure[0] >= '1' && failure[0] <= '5' }

// known are the statuses by which a host may refuse a change: it does not agree with others, the store or another host
// cannot be reached, or there is nothing to roll back or remove.
var known = []int{0, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusInsufficientStorage}

// strange returns the changes that were refused with another status.
func strange(all []history.Change) (odd []history.Change) {
	for _, x := range all {
		var status int
		_, err := fmt.Sscan(x.Detail, &status)
		if full := status == http.StatusInternalServerError && strings.Contains(x.Detail, "nothing was changed"); full { // disk
			continue
		}
		if status == http.StatusBadRequest && strings.Contains(x.Detail, "no host that is up has these labels") { // as far as a host knows that starts alone
			continue
		}
		if x.Outcome == history.Refused && (err != nil || !slices.Contains(known, status)) {
			odd = append(odd, x)
		}
	}
	return odd
}
