package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// launch starts a real server on the data directory and returns a client of it.
func launch(t *testing.T, data string, flags ...string) (*process, *remote.Client) {
	t.Helper()
	listening := regexp.MustCompile(`(?m)^listening on (http://.*)\n`)
	p, err := startProcess(exec.Command("vespo", append([]string{"serve", "--listen=127.0.0.1:0", "--data", data, "--slots=4"}, flags...)...))
	require.NoError(t, err)
	t.Cleanup(p.kill)
	require.True(t, p.await(listening), p.stderr)
	c, err := remote.NewClient(listening.FindStringSubmatch(p.stderr.String())[1], "")
	require.NoError(t, err)
	return p, c
}

func post(ctx context.Context, c *remote.Client, prefix string, module []byte) (*remote.Answer, error) {
	return c.Call(ctx, http.MethodPost, "/services/add", url.Values{"prefix": {prefix}}, remote.Upload{
		Body:        bytes.NewReader(module),
		SizeBytes:   int64(len(module)),
		ContentType: "application/wasm",
	})
}

// TestKillDuringChanges checks that a server that is killed while
// services are added and removed keeps every acknowledged change.
func TestKillDuringChanges(t *testing.T) {
	const rounds, writers, ackedPerRound = 4, 3, 12
	data, modules := t.TempDir(), [][]byte{guests.Wat(t, "hello"), guests.Wat(t, "echo")}
	expected := map[string]int{} // prefix to module, -1 if removed, as acknowledged
	for round := range rounds {
		p, c := launch(t, data)
		requireServed(t, p, c, expected, modules)
		var mu sync.Mutex
		var acked atomic.Int32
		var all sync.WaitGroup
		for writer := range writers {
			all.Go(func() {
				for i := 0; ; i++ {
					prefix, module := fmt.Sprintf("/w%d/s%d", writer, i%5), (round+i)%len(modules)
					if i%4 == 3 {
						module = -1
					}
					mu.Lock()
					delete(expected, prefix) // unknown until the response arrives
					mu.Unlock()
					if !change(t, c, prefix, module, modules) {
						return
					}
					mu.Lock()
					expected[prefix] = module
					mu.Unlock()
					if acked.Add(1) == ackedPerRound {
						p.kill()
						return
					}
				}
			})
		}
		all.Wait()
		require.GreaterOrEqual(t, acked.Load(), int32(ackedPerRound))
	}
	p, c := launch(t, data)
	requireServed(t, p, c, expected, modules)
}

// change makes one change and reports whether it was acknowledged.
// Removing an absent service counts as acknowledged.
func change(t *testing.T, c *remote.Client, prefix string, module int, modules [][]byte) bool {
	if module >= 0 {
		_, err := post(t.Context(), c, prefix, modules[module])
		return err == nil
	}
	_, err := c.Post(t.Context(), "/services/remove", url.Values{"prefix": {prefix}})
	var refused *remote.Refusal
	return err == nil || errors.As(err, &refused) && refused.Status == http.StatusNotFound
}

// requireServed checks the list of services and the response of each.
func requireServed(t *testing.T, p *process, c *remote.Client, expected map[string]int, modules [][]byte) {
	t.Helper()
	a, err := c.Get(t.Context(), "/services/list", nil)
	require.NoError(t, err)
	var list struct{ Services []remote.Service }
	require.NoError(t, json.Unmarshal(a.Body, &list))
	states := map[string]remote.Service{}
	for _, s := range list.Services {
		require.NotEqual(t, "failed", s.State, p.stderr)
		states[s.Prefix] = s
	}
	for prefix, module := range expected {
		s, found := states[prefix]
		require.Equal(t, module >= 0, found, prefix)
		if found {
			require.EqualValues(t, len(modules[module]), s.Size, prefix)
			resp, err := http.Get(c.Base() + prefix)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusOK, resp.StatusCode)
		}
	}
}

// TestChangesUnderLoadLoseNoRequest checks that replacing, rolling back
// and idling under load lose no request. Either version may answer each.
func TestChangesUnderLoadLoseNoRequest(t *testing.T) {
	const clients, changes = 3, 12
	_, c := launch(t, t.TempDir(), "--queue=1000", "--queue-wait=1m")
	hello, echo := guests.Wat(t, "hello"), guests.Wat(t, "echo")
	_, err := post(t.Context(), c, "/a", hello)
	require.NoError(t, err)

	stop := make(chan struct{})
	var all sync.WaitGroup
	var answered atomic.Int64
	for range clients {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				body, err := echoOnce(c.Base() + "/a")
				if err != nil || (body != "hello from vespo\n" && body != "sent") {
					t.Errorf("answer %q, error %v", body, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	for i := range changes {
		switch i % 3 {
		case 0:
			_, err = post(t.Context(), c, "/a", echo)
		case 1:
			_, err = c.Post(t.Context(), "/services/rollback", url.Values{"prefix": {"/a"}})
		case 2:
			_, err = post(t.Context(), c, "/a", hello)
		}
		require.NoError(t, err)
	}
	close(stop)
	all.Wait()
	require.Positive(t, answered.Load())
}

func echoOnce(url string) (string, error) {
	resp, err := http.Post(url, "text/plain", bytes.NewReader([]byte("sent")))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.Status, nil
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
