package lambda

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// built holds the paths of the programs under test. TestMain builds them.
var built struct{ vespo, bootstrap string }

func TestMain(m *testing.M) {
	os.Exit(program.Main(m, map[*string]program.Source{
		&built.vespo:     program.Vespo,
		&built.bootstrap: {Dir: ".", Package: "./bootstrap"},
	}))
}

// server is a running vespo.
type server struct{ *program.Server }

func serve(t *testing.T, args ...string) *server {
	t.Helper()
	return &server{program.Serve(t, built.vespo, args...)}
}

// addFunction adds a function and returns the address of its Runtime API.
func (s *server) addFunction(prefix string, args ...string) string {
	s.T.Helper()
	out := s.Vespo(append([]string{"add", prefix, "--function"}, args...)...)
	m := regexp.MustCompile(`AWS_LAMBDA_RUNTIME_API=(\S+),`).FindStringSubmatch(out)
	require.NotNil(s.T, m, out)
	return m[1]
}

// work starts a worker with only the address in its environment.
func work(t *testing.T, addr string, env ...string) *program.Process {
	t.Helper()
	return program.Start(t, append([]string{"AWS_LAMBDA_RUNTIME_API=" + addr}, env...), built.bootstrap)
}

type answer struct {
	*http.Response
	body string
}

func (s *server) do(method, path, body string, headers ...string) answer {
	s.T.Helper()
	r, err := http.NewRequestWithContext(s.T.Context(), method, s.URL+path, bytes.NewReader([]byte(body)))
	require.NoError(s.T, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := (&http.Client{Timeout: program.HangTimeout}).Do(r)
	require.NoError(s.T, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.T, err)
	return answer{resp, string(text)}
}
