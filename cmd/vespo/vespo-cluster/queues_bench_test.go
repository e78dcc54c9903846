package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
)

// BenchmarkQueues measures the time of a request with its answer, in the file of one host and in an engine: of one client that
// waits, and of requests that are accepted, answered and read, one after the other and 16 at a time. Client and worker are at
// the same host, or at two.
func BenchmarkQueues(b *testing.B) {
	engine := enginetest.StartPostgres(b)
	url := "postgres://postgres@" + engine.Address + "/postgres"
	for _, c := range []struct {
		name   string
		engine string
		hosts  int
	}{{"file", "", 1}, {"engine", url, 1}, {"two hosts", url, 2}} {
		b.Run(c.name, func(b *testing.B) {
			var hosts []*host
			for range c.hosts {
				h := newKVHost(b)
				h.args = append(h.args, "--log-level", "info")
				if c.engine != "" {
					h.args = append(h.args, "--queues", c.engine)
				}
				h.start()
				h.addQueue("depth", "100000")
				hosts = append(hosts, h)
			}
			client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			defer client.CloseIdleConnections()
			at := hosts[len(hosts)-1].workersAt()
			var over atomic.Bool
			var workers sync.WaitGroup
			for range 16 {
				workers.Go(func() {
					for !over.Load() {
						if j, ok := take(client, at); ok {
							answer(client, at, j, "y")
						}
					}
				})
			}
			for _, load := range []struct {
				name    string
				clients int
				path    string
			}{{"waits", 1, "/jobs/x"}, {"accepted", 1, "/jobs/x?async=1"}, {"accepted by 16", 16, "/jobs/x?async=1"}} {
				b.Run(load.name, func(b *testing.B) { benchAsk(b, client, hosts[0].url, load.path, load.clients) })
			}
			over.Store(true)
			workers.Wait()
			for _, h := range hosts {
				h.kill()
			}
		})
	}
}

// benchAsk sends requests, and waits for their answers.
func benchAsk(b *testing.B, client *http.Client, url, path string, clients int) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				status, text, header := send(client, http.MethodPut, url+path, "x")
				location := header.Get("Location")
				for status == http.StatusAccepted {
					<-time.After(time.Millisecond)
					status, text, _ = send(client, http.MethodGet, url+location, "")
				}
				if status != http.StatusOK || text != "y" {
					b.Error(status, text)
					return
				}
			}
		})
	}
	all.Wait()
	require.False(b, b.Failed())
}
