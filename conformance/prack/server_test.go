package prack

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// built holds the paths of the programs under test. TestMain builds them.
var built struct{ vespo, worker string }

func TestMain(m *testing.M) {
	os.Exit(program.Main(m, map[*string]program.Source{
		&built.vespo:  program.Vespo,
		&built.worker: {Dir: ".", Package: "./worker"},
	}))
}

// server is a running vespo with a default queue.
type server struct {
	*program.Server
	workers string // where workers fetch requests, without a service name as in Prack
}

// serve starts a server with flags and adds the queue with queueFlags.
func serve(t *testing.T, flags []string, queueFlags ...string) *server {
	t.Helper()
	s := &server{Server: program.Serve(t, built.vespo, append([]string{"--worker-listen", "127.0.0.1:0"}, flags...)...)}
	out := s.Vespo(append([]string{"add", "jobs", "--queue", "--default"}, queueFlags...)...)
	m := regexp.MustCompile(`workers at (http://[^/]+)/`).FindStringSubmatch(out)
	require.NotNil(t, m, out)
	s.workers = strings.Replace(m[1], "127.0.0.1", "localhost", 1) + "/api/v1/request" // the host name that Prack's clients use
	return s
}

// awaitWaiting waits until n requests are in the queue.
func (s *server) awaitWaiting(n int) {
	s.T.Helper()
	require.Eventually(s.T, func() bool {
		_, _, text := s.ask(http.DefaultClient, "GET", "/services/inspect?prefix=jobs", "")
		return strings.Contains(text, fmt.Sprintf(`"waiting":%d,`, n))
	}, program.HangTimeout, 10*time.Millisecond)
}

// work starts a worker and waits until it is running.
func (s *server) work(name string, args ...string) *program.Process {
	s.T.Helper()
	p := program.Start(s.T, append(os.Environ(), "PRACK_URL="+s.workers), name, args...)
	p.Line("^working$")
	return p
}

// ask sends a request. status is 0 if there is no response.
func (s *server) ask(client *http.Client, method, path, body string) (status int, header http.Header, text string) {
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err.Error()
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return resp.StatusCode, resp.Header, string(read)
}
