package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
)

// deliveries is an upstream that records the bodies of its requests.
type deliveries struct {
	*httptest.Server
	mu    sync.Mutex
	times map[string]int // guarded by mu; by body
}

func newDeliveries(t *testing.T) *deliveries {
	d := &deliveries{times: make(map[string]int)}
	d.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the server was killed
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.times[string(body)]++
	}))
	t.Cleanup(d.Close)
	return d
}

// missing returns how many of the accepted events were not delivered.
func (d *deliveries) missing(accepted map[string]bool) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for body := range accepted {
		if d.times[body] == 0 {
			n++
		}
	}
	return n
}

// lambdaOf returns the URL of the Lambda API of a server.
func lambdaOf(t *testing.T, p *process) string {
	t.Helper()
	listening := regexp.MustCompile(`(?m)^the Lambda API on (http://\S+)`)
	require.True(t, p.await(listening), p.stderr)
	return listening.FindStringSubmatch(p.stderr.String())[1]
}

// sendEvent invokes a service with an event, and reports whether that was accepted.
func sendEvent(ctx context.Context, api, function, body string) bool {
	payload := fmt.Sprintf(`{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":"POST"}},"body":%q}`, body)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, api+"/2015-03-31/functions/"+function+"/invocations", strings.NewReader(payload))
	if err != nil {
		return false
	}
	r.Header.Set("X-Amz-Invocation-Type", "Event")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusAccepted
}

// TestKillWithEvents kills a server repeatedly while events are accepted and carried out. Each acknowledged event is delivered.
func TestKillWithEvents(t *testing.T) {
	const rounds, clients, acceptedPerRound = 5, 4, 80
	data, upstream := t.TempDir(), newDeliveries(t)
	accepted := map[string]bool{}
	for round := range rounds {
		p, c := launch(t, data, "--lambda-listen=127.0.0.1:0")
		_, err := c.Call(t.Context(), http.MethodPost, "/services/add", url.Values{"prefix": {"fn"}, "upstream": {upstream.URL}}, remote.Upload{})
		require.NoError(t, err)
		api := lambdaOf(t, p)
		var all sync.WaitGroup
		var mu sync.Mutex
		n := 0
		for client := range clients {
			all.Go(func() {
				for i := 0; ; i++ {
					body := fmt.Sprint(round, "-", client, "-", i)
					ok := sendEvent(t.Context(), api, "fn", body)
					mu.Lock()
					if ok {
						accepted[body] = true
						n++
					}
					enough := n >= acceptedPerRound
					mu.Unlock()
					if !ok || enough {
						p.kill()
						return
					}
				}
			})
		}
		all.Wait()
	}
	require.GreaterOrEqual(t, len(accepted), rounds*acceptedPerRound)
	t.Logf("%d accepted, %d not delivered before the last start", len(accepted), upstream.missing(accepted))
	p, _ := launch(t, data, "--lambda-listen=127.0.0.1:0")
	require.Eventually(t, func() bool { return upstream.missing(accepted) == 0 }, hangTimeout, 10*time.Millisecond, "%s", p.stderr)
}
