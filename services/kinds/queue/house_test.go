package queue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestMain fails if the tests leave a goroutine or a connection of a server, a worker or a queue behind.
func TestMain(m *testing.M) { os.Exit(servicetest.Main(m)) }

// house is a server with queues and texts.
type house struct {
	*servicetest.Server
	kind *queue.Kind
	t    *testing.T
	http *http.Client
}

// newHouse starts a server on the data directory. change may modify its configuration.
func newHouse(t *testing.T, dir string, change func(*queue.Config)) *house {
	t.Helper()
	s := servicetest.New(t, servicetest.Config{
		Dir: dir,
		Deploy: deploy.Config{
			Gate:      admission.NewGate(20_000),
			Admission: map[string]deploy.Admission{queue.KindName: {Gate: admission.NewGate(20_000)}},
		},
	})
	cfg := queue.Config{
		Dir: s.Store.QueueDir(),
		Listen: func(ctx context.Context) (net.Listener, error) {
			return new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		},
	}
	if change != nil {
		change(&cfg)
	}
	client := &http.Client{Timeout: servicetest.HangTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(client.CloseIdleConnections)
	kind := queue.New(cfg)
	return &house{Server: s.Start(kind, servicetest.Text{}), kind: kind, t: t, http: client}
}

// add deploys a queue and returns the address of the listener for workers.
func (h *house) add(prefix string, d queue.Document, options ...servicetest.Option) string {
	h.t.Helper()
	return addressOf(h.t, h.Deploy(spec(prefix, d, options...)).Status)
}

func spec(prefix string, d queue.Document, options ...servicetest.Option) services.Spec {
	return servicetest.Spec(queue.KindName, prefix, d, options...)
}

func addressOf(t *testing.T, s services.Status) string {
	t.Helper()
	m := regexp.MustCompile(`^workers at (http://[^/]+)/`).FindStringSubmatch(s.Target)
	require.NotNil(t, m, s.Target)
	return m[1]
}

func (h *house) do(method, url, body string, headers ...string) servicetest.Answer {
	h.t.Helper()
	a, err := h.try(h.t.Context(), method, url, body, headers...)
	require.NoError(h.t, err)
	return a
}

// try sends a request over a connection that is kept. It is safe for concurrent use.
func (h *house) try(ctx context.Context, method, url, body string, headers ...string) (servicetest.Answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return servicetest.Answer{}, err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	return servicetest.SendOver(h.http.Transport, r)
}

// ask sends a request in the background.
func (h *house) ask(method, path, body string, headers ...string) chan servicetest.Answer {
	answered := make(chan servicetest.Answer, 1)
	go func() {
		a, err := h.try(context.Background(), method, h.URL+path, body, headers...)
		if err != nil {
			a = servicetest.Answer{Response: &http.Response{}, Body: err.Error()}
		}
		answered <- a
	}()
	return answered
}

// awaitStatus waits until the queue has these numbers of requests.
func (h *house) awaitStatus(prefix string, waiting, leased int) {
	h.t.Helper()
	h.AwaitStatus(prefix, func(s services.Status) bool {
		return s.Queue != nil && s.Queue.Waiting == waiting && s.Queue.Leased == leased
	})
}

// taken is a request as a worker receives it.
type taken struct {
	Identifier  string
	Environment map[string]string
	Body        []byte
}

// take fetches a request.
func (h *house) take(url string) taken {
	h.t.Helper()
	for {
		a := h.do("GET", url, "")
		if a.StatusCode == http.StatusNotFound { // no request is waiting yet
			continue
		}
		require.Equal(h.t, http.StatusOK, a.StatusCode, a.Body)
		var got taken
		require.NoError(h.t, json.Unmarshal([]byte(a.Body), &got), a.Body)
		return got
	}
}

// reply returns an answer as a worker sends it.
func reply(id string, code any, body string) string {
	text, err := json.Marshal(map[string]any{"identifier": id, "code": code, "headers": map[string]string{"Content-Type": "text/plain"}, "body": []byte(body)})
	if err != nil {
		panic(err)
	}
	return string(bytes.TrimSpace(text))
}
