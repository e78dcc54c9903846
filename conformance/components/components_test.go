package components

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// built is the path of the vespo command. TestMain builds it.
var built string

func TestMain(m *testing.M) {
	os.Exit(program.Main(m, map[*string]program.Source{&built: program.Vespo}))
}

// guests are the components to compare: how they are built in a directory, and options of jco's server, which does not start
// with components of Go. A listener of fetch events answers there once, so that each request needs an instance.
var guests = []struct {
	name    string
	build   func(t *testing.T, dir string) (component string)
	options []string
}{
	{"rust", buildRust, nil},
	{"js", buildScript, []string{"--isolate-requests=instance"}},
}

// run runs a command in a directory. It skips the test if a tool is missing, even with the distribution's tools first on the PATH.
func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	for _, path := range []string{os.Getenv("PATH"), "/usr/bin" + string(os.PathListSeparator) + os.Getenv("PATH")} {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Environ(), "PATH="+path)
		out, err := cmd.CombinedOutput()
		switch {
		case err == nil:
			return
		case !bytes.Contains(out, []byte(" is missing: ")):
			require.NoError(t, err, "%s", out)
		case path != os.Getenv("PATH"):
			t.Skipf("NOT TRIED: %s", out)
		}
	}
}

// tools installs jco and componentize-js for all guests, in the directory above theirs.
func tools(t *testing.T) (dir, jco string) {
	t.Helper()
	dir = t.TempDir()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("NOT TRIED: npm is missing")
	}
	if exec.CommandContext(t.Context(), "npm", "view", "@bytecodealliance/jco", "version").Run() != nil {
		t.Skip("NOT TRIED: npm's registry does not answer")
	}
	run(t, dir, built, "new", "manifest", "--template", "js")
	text, err := os.ReadFile(filepath.Join(dir, "manifest", "package.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package.json"), text, 0o644))
	run(t, dir, "npm", "install", "--no-audit", "--no-fund")
	return dir, filepath.Join(dir, "node_modules", ".bin", "jco")
}

// buildRust makes a component from the template for Rust.
func buildRust(t *testing.T, dir string) (component string) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("testdata", "rust", "lib.rs"))
	require.NoError(t, err)
	run(t, dir, built, "new", "rust", "--template", "rust-component")
	project := filepath.Join(dir, "rust")
	require.NoError(t, os.WriteFile(filepath.Join(project, "src", "lib.rs"), source, 0o644))
	run(t, project, built, "build")
	return filepath.Join(project, "rust.wasm")
}

// buildScript makes a component of a script with componentize-js alone.
func buildScript(t *testing.T, dir string) (component string) {
	t.Helper()
	project := filepath.Join(dir, "js")
	require.NoError(t, os.CopyFS(project, os.DirFS(filepath.Join("testdata", "js"))))
	run(t, project, "node", "componentize.mjs", "service.js", "js.wasm")
	return filepath.Join(project, "js.wasm")
}

type request struct {
	method, path string
	fields       http.Header
	body         string
}

// requests returns the requests to compare, for a service with this name.
func requests(name string) []request {
	var all []request
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		all = append(all, request{method: method, path: "request?a=1&b=%20"})
	}
	for _, path := range []string{"fields", "large", "nothing", "missing", "request", "request?", "request?a=b?c",
		"status/200", "status/201", "status/204", "status/301", "status/304", "status/404", "status/418", "status/500", "status/503"} {
		all = append(all, request{method: "GET", path: path})
	}
	for _, size := range []int{0, 1, 4096, 70_000, 1 << 20} {
		all = append(all, request{method: "POST", path: "echo", body: strings.Repeat("x", size)})
	}
	all = append(all,
		request{method: "GET", path: "request", fields: http.Header{"X-Test": {"one"}}},
		request{method: "HEAD", path: "fields"},
		request{method: "POST", path: "echo", body: "\x00\xff\r\n"},
	)
	for i := range all {
		all[i].path = "/" + name + "/" + all[i].path
	}
	return all
}

type answer struct {
	Status int
	Fields http.Header
	Body   string
}

// ownFields are fields that a server sets by itself.
var ownFields = []string{"Connection", "Content-Length", "Date", "Keep-Alive", "Transfer-Encoding", "X-Request-Id"}

func (r request) send(t *testing.T, client *http.Client, url string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, url+r.path, strings.NewReader(r.body))
	require.NoError(t, err)
	maps.Copy(req.Header, r.fields)
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	for _, name := range ownFields {
		res.Header.Del(name)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// exceptions are requests that are answered in another way on purpose, by the guest, with the reason.
var exceptions = map[string]string{
	"rust GET fields":     "jco sends the last of several fields with one name alone; a script has one",
	"rust HEAD fields":    "the same",
	"rust GET status/304": "net/http leaves Content-Type out of answers without a body",
}

// untried are requests that jco's server does not survive.
var untried = map[string]string{
	"js GET status/204": "jco's server ends when a script answers without a body",
	"js GET status/304": "the same",
}

// compare sends a request for a guest to both servers.
func compare(t *testing.T, client *http.Client, guest string, r request, vespo, jco string) {
	t.Helper()
	got, key := r.send(t, client, vespo), guest+" "+r.method+" "+strings.TrimPrefix(r.path, "/"+guest+"/")
	if reason, ok := untried[key]; ok {
		t.Logf("NOT TRIED: %s: %s", key, reason)
		require.True(t, strings.HasSuffix(r.path, fmt.Sprint(got.Status)), "%s: %d", key, got.Status)
		return
	}
	if _, ok := exceptions[key]; ok {
		require.NotEqual(t, r.send(t, client, jco), got, "%s is no exception any more", key)
		return
	}
	require.Equal(t, r.send(t, client, jco), got, key)
}

// TestAnswersAreThoseOfJco sends the same requests to both servers.
func TestAnswersAreThoseOfJco(t *testing.T) {
	dir, jco := tools(t)
	server := program.Serve(t, built)
	client := &http.Client{
		Timeout:       program.HangTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	for _, g := range guests {
		t.Run(g.name, func(t *testing.T) {
			component := g.build(t, dir)
			run(t, dir, built, "add", g.name, component, "--server", server.URL)
			url := serveByJco(t, jco, component, g.options...)
			for _, r := range requests(g.name) {
				compare(t, client, g.name, r, server.URL, url)
			}
		})
	}
}
