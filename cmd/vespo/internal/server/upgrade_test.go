package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
)

// format1 is a data directory, and the list of its services, as the last release before format 2 has left them.
const format1 = "testdata/format1"

// listed is what of a service is the same in all releases.
type listed struct {
	Prefix, Kind, Timeout, Isolation, State string
	Generation                              uint64
	Memory                                  int64
	Allow, Config, Use                      []string
	UseConfig                               []string `json:"use_config"`
	Mount                                   map[string]string
	Target                                  string
}

// servicesOf decodes a list. Targets with a port are left out: workers find another one.
func servicesOf(t *testing.T, from io.Reader) []listed {
	t.Helper()
	var list struct{ Services []listed }
	require.NoError(t, json.NewDecoder(from).Decode(&list))
	for i, s := range list.Services {
		if s.Kind == "queue" || s.Prefix == "/fn" {
			list.Services[i].Target = ""
		}
	}
	return list.Services
}

func TestDataDirectoriesOfFormat1Open(t *testing.T) {
	data, root := t.TempDir(), t.TempDir()
	require.NoError(t, os.CopyFS(data, os.DirFS(format1)))
	require.NoError(t, os.Remove(filepath.Join(data, "list.json")))
	require.NoError(t, os.CopyFS(filepath.Join(root, "site"), os.DirFS("testdata/site")))
	cfg, err := parse(t, "--listen=127.0.0.1:0", "--worker-listen=127.0.0.1:0", "--slots=2", "--memory=16MiB", "--allow-exec", "--data="+data, "--root="+root)
	require.NoError(t, err)
	_, url := listening(t, cfg)
	get := func(path string) *http.Response {
		resp, err := http.Get(url + path)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	text := func(path string) string {
		body, err := io.ReadAll(get(path).Body)
		require.NoError(t, err)
		return string(body)
	}
	require.Eventually(t, func() bool { return get("/services/ready").StatusCode == http.StatusOK }, time.Minute, 10*time.Millisecond)

	was, err := os.Open(filepath.Join(format1, "list.json"))
	require.NoError(t, err)
	defer was.Close()
	require.Equal(t, servicesOf(t, was), servicesOf(t, get("/services").Body))
	require.Equal(t, "hello from vespo\n", text("/hello"))
	require.Contains(t, text("/files/"), "kept")
	require.Contains(t, text("/services/inspect?prefix=api"), `"options":{"host":"client","keep_prefix":true,"request_header":1,"timeout":"3s","upstream":["http://127.0.0.1:1","http://127.0.0.1:2"]}`)
	require.Contains(t, text("/services/inspect?prefix=jobs"), `"options":{"default":true,"depth":12,"durable":true,"lease":"5s","timeout":"1m30s"}`)

	// The history has the version before, and the next change writes the new format.
	resp, err := http.Post(url+"/services/rollback?prefix=hello", "", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	resp, err = http.Post(url+"/hello", "text/plain", strings.NewReader("echoed"))
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "echoed", string(body))
	stored, err := os.ReadFile(filepath.Join(data, "manifest.json"))
	require.NoError(t, err)
	require.Contains(t, string(stored), `"version": 4,`)
}

// listening runs a server until the end of the test, and returns it with its address.
func listening(t *testing.T, cfg *Config) (s *server, url string) {
	t.Helper()
	said := linestest.New()
	ctx, cancel := context.WithCancel(t.Context())
	s = openedServer(t, ctx, cfg, said)
	return s, toEnd(t, ctx, cancel, s, said)
}

// toEnd runs an open server until the end of the test, and returns its address, which the server writes to said.
func toEnd(t *testing.T, ctx context.Context, cancel context.CancelFunc, s *server, said *linestest.Lines) (url string) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	require.True(t, said.Await(ctx, func(text string) bool {
		_, rest, found := strings.Cut(text, "listening on ")
		url, _, _ = strings.Cut(rest, "\n")
		return found
	}))
	return url
}
