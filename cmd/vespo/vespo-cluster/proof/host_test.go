package proof

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/proof/mesh"
)

// host is a server of the catalogue. Its directory and addresses stay.
type host struct {
	process
	number   int
	url      string
	api      string // of Lambda
	data     string
	clock    string // file with the shift of its wall clock
	versions [2]string
	version  int
	client   *http.Client

	lives     atomic.Int64 // starts
	disturbed atomic.Int64 // odd while it is dead or stopped, or starts
	draining  atomic.Bool  // it was asked to end: what it answers has to be right
}

// newHost returns a host, which is not started.
func newHost(t *testing.T, number int, network *mesh.Mesh, all []*member, versions [2]string, data, engine string) *host {
	t.Helper()
	name := fmt.Sprintf("host%d", number)
	var links []string
	for _, m := range all {
		links = append(links, m.link)
	}
	address, peer := freePort(t), freePort(t)
	link, err := network.Link(name, peer)
	require.NoError(t, err)
	h := &host{number: number, url: "http://" + address, data: data, versions: versions, clock: filepath.Join(t.TempDir(), "clock")}
	h.client = &http.Client{
		Timeout:       20 * time.Second,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 16},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	h.process = process{t: t, name: name, env: []string{"VESPO_PROOF_CLOCK=" + h.clock}, ran: func(pid int) { network.Is(name, pid) }}
	h.args = []string{"serve", "--no-config-file", "--listen", address, "--admin-listen", "off", "--worker-listen", "127.0.0.1:0",
		"--data", data, "--slots", "4", "--store", "etcd://" + strings.Join(links, ",") + "/proof?timeout=2s&lease=5s",
		"--peer-listen", peer, "--peer-address", link, "--log", "text"}
	if number < pair {
		h.args = append(h.args, "--label", pairLabel)
	}
	if engine != "" {
		api := freePort(t)
		h.api = "http://" + api
		h.args = append(h.args, "--lambda-listen", api, "--queues", "postgres://postgres@"+engine+"/postgres?timeout=2s")
	}
	t.Cleanup(h.kill)
	h.disturbed.Store(1)
	return h
}

// start starts a host that is down, and waits until it serves.
func (h *host) start() {
	h.t.Helper()
	h.path = h.versions[h.version]
	h.lives.Add(1) // before it can answer
	h.run()
	h.eventually("the host starts", func() bool { return strings.Contains(h.log.since(), "listening on ") })
	h.disturbed.Add(1)
}

// down ends the host by one of its functions.
func (h *host) down(end func()) {
	h.disturbed.Add(1)
	end()
}

// setClock shifts the wall clock of the host.
func (h *host) setClock(d time.Duration) {
	require.NoError(h.t, os.WriteFile(h.clock+".new", []byte(strconv.Itoa(int(d/time.Second))), 0o600))
	require.NoError(h.t, os.Rename(h.clock+".new", h.clock))
}

// now returns the wall clock of the host, as in its answers.
func (h *host) now() time.Time {
	resp, err := h.client.Get(h.url + "/services/health")
	if err != nil {
		return time.Time{}
	}
	defer resp.Body.Close()
	at, _ := http.ParseTime(resp.Header.Get("Date"))
	return at
}

// errNotSent is the error of a request that no host has seen.
var errNotSent = errors.New("there is no connection")

// post sends a change, and returns the status and the body of the answer.
func (h *host) post(path string, query url.Values, body []byte) (status int, answer string, err error) {
	r, err := http.NewRequest(http.MethodPost, h.url+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/wasm")
	}
	resp, err := h.client.Do(r)
	var failed *net.OpError
	if errors.As(err, &failed) && failed.Op == "dial" {
		return 0, "", fmt.Errorf("%w: %w", errNotSent, err)
	}
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// site is the target of redirects, without the path that identifies a deploy.
const site = "https://example.com/"

// call returns what a service answers: its content, empty if there is no such service, or a failure.
func (h *host) call(service string) (content, failure string) {
	resp, err := h.client.Get(h.url + "/" + service)
	if err != nil {
		return "", err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", err.Error()
	case resp.StatusCode == http.StatusOK:
		return strings.TrimSpace(string(text)), ""
	case resp.StatusCode == http.StatusTemporaryRedirect:
		return strings.TrimPrefix(resp.Header.Get("Location"), site), ""
	case resp.StatusCode == http.StatusNotFound:
		return "", ""
	}
	return "", fmt.Sprintf("%d %s", resp.StatusCode, text)
}

// get returns the body of an answer of 200; empty for any other.
func (h *host) get(path string) string {
	resp, err := h.client.Get(h.url + path)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return ""
	}
	return string(text)
}
