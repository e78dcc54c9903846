package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// house is a real server with a service of every kind, all behind the same middleware.
// Services respond with the header fields that the test sets, and with ownText.
type house struct {
	*remote.Client
	t       *testing.T
	server  *process
	dir     string // --root, and the directory of the guests' files
	fields  []field
	backend *httptest.Server
}

// field is one header line.
type field struct{ name, value string }

const ownText = "what the service says"

// kindsOfServices are all kinds that support middleware. "module" is an http-wasm module.
var kindsOfServices = []string{"module", "cgi", "proxy", "static", "function", "queue"}

// compiled is a data directory with the modules of all houses, which are compiled once.
var compiled compiledModules

type compiledModules struct {
	once sync.Once
	dir  string
}

// data returns the data directory. Tests copy it.
func (c *compiledModules) data(t *testing.T) string {
	t.Helper()
	c.once.Do(func() {
		var err error
		c.dir, err = os.MkdirTemp("", "vespo-test-kinds-")
		require.NoError(t, err)
		h := &house{t: t, dir: t.TempDir()}
		h.server, h.Client = launch(t, filepath.Join(c.dir, "data"), "--worker-listen=127.0.0.1:0")
		for _, kind := range []string{"module", "cgi"} {
			h.add(append([]string{kind}, h.flags(kind)...)...)
		}
		h.server.kill()
	})
	return filepath.Join(c.dir, "data")
}

// remove removes the directory, if there is one.
func (c *compiledModules) remove() {
	if c.dir != "" {
		_ = os.RemoveAll(c.dir) // in a temporary directory
	}
}

func newHouse(t *testing.T, use string) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir()}
	require.NoError(t, os.Mkdir(filepath.Join(h.dir, "site"), 0o755))
	page := filepath.Join(h.dir, "site", "page.html")
	require.NoError(t, os.WriteFile(page, []byte(ownText), 0o644))
	past := time.Now().Add(-time.Hour) // a file of this second is sent without Last-Modified
	require.NoError(t, os.Chtimes(page, past, past))
	h.backend = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = nil
		for _, f := range h.fields {
			w.Header().Add(f.name, f.value)
		}
		_, _ = io.WriteString(w, ownText)
	}))
	t.Cleanup(h.backend.Close)
	data := filepath.Join(h.dir, "data")
	out, err := exec.Command("cp", "-a", compiled.data(t), data).CombinedOutput()
	require.NoError(t, err, "%s", out)
	h.server, h.Client = launch(t, data, "--worker-listen=127.0.0.1:0", "--slots=8", "--root", h.dir)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{}, 2)
	middleware := h.file("middleware", guests.Wat(t, use))
	for _, kind := range kindsOfServices {
		h.add(append([]string{kind, "--use", middleware}, h.flags(kind)...)...)
	}
	go h.work(ctx, ended, h.target("queue", `http://[^ "]+`), h.answerQueue)
	runtime := "http://" + h.target("function", `127\.0\.0\.1:[0-9]+`) + "/2018-06-01/runtime/invocation/"
	go h.work(ctx, ended, runtime+"next", func(ctx context.Context, taken *http.Response, _ []byte) {
		exchange(ctx, http.MethodPost, runtime+taken.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", h.functionAnswer())
	})
	t.Cleanup(func() {
		stop()
		<-ended
		<-ended
	})
	return h
}

// flags returns the arguments of "vespo add" that select the kind.
func (h *house) flags(kind string) []string {
	switch kind {
	case "module":
		return []string{h.file("script", guests.Go(h.t, "script"))}
	case "cgi":
		return []string{h.file("cgiscript", guests.Go(h.t, "cgiscript"))}
	case "proxy":
		return []string{"--upstream", h.backend.URL}
	case "static":
		return []string{"--static", "site"}
	}
	return []string{"--" + kind}
}

func (h *house) file(name string, module []byte) string {
	path := filepath.Join(h.dir, name+".wasm")
	require.NoError(h.t, os.WriteFile(path, module, 0o644))
	return path
}

func (h *house) add(args ...string) {
	h.t.Helper()
	cmd := exec.Command("vespo", append([]string{"add"}, args...)...)
	cmd.Env = append(os.Environ(), "VESPO_SERVER="+h.Base())
	out, err := cmd.CombinedOutput()
	require.NoError(h.t, err, "%s", out)
}

// target returns the address at which the workers of a service fetch requests.
func (h *house) target(kind, pattern string) string {
	a, err := h.Get(h.t.Context(), "/services/inspect", url.Values{"prefix": {kind}})
	require.NoError(h.t, err)
	found := regexp.MustCompile(pattern).Find(a.Body)
	require.NotNil(h.t, found, "%s", a.Body)
	return string(found)
}

// work fetches requests and passes them to answer until ctx ends.
func (h *house) work(ctx context.Context, ended chan<- struct{}, from string, answer func(context.Context, *http.Response, []byte)) {
	defer func() { ended <- struct{}{} }()
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
		if err != nil {
			return
		}
		taken, err := http.DefaultClient.Do(r)
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(taken.Body)
		_ = taken.Body.Close()
		if taken.StatusCode == http.StatusOK {
			answer(ctx, taken, text)
		}
	}
}

func (h *house) answerQueue(ctx context.Context, taken *http.Response, text []byte) {
	var request struct {
		Identifier string `json:"identifier"`
	}
	_ = json.Unmarshal(text, &request)
	headers := map[string][]string{}
	for _, f := range h.fields {
		headers[f.name] = append(headers[f.name], f.value)
	}
	message, _ := json.Marshal(map[string]any{"identifier": request.Identifier, "code": 200, "headers": headers, "body": []byte(ownText)})
	exchange(ctx, http.MethodPost, taken.Request.URL.String(), message)
}

// functionAnswer returns a function's response. A JSON object can have one
// value per name, so a second value is stored under an upper-case spelling.
func (h *house) functionAnswer() []byte {
	headers := map[string]string{}
	for _, f := range h.fields {
		name := f.name
		if slices.Contains(h.fields, field{name, "again"}) && f.value != "again" {
			name = strings.ToUpper(name)
		}
		headers[name] = f.value
	}
	answer, _ := json.Marshal(map[string]any{"statusCode": 200, "headers": headers, "body": ownText})
	return answer
}

// steps returns the script for the guests: respond with the fields and ownText.
func (h *house) steps(kind string) string {
	var b strings.Builder
	if kind == "module" {
		for _, f := range h.fields {
			b.WriteString("add " + f.name + " " + f.value + "\n")
		}
		return b.String() + "write " + ownText
	}
	head := ""
	for _, f := range h.fields {
		head += f.name + ": " + f.value + "\n"
	}
	quoted, _ := json.Marshal(head + "Status: 200\n\n" + ownText)
	return "print " + string(quoted)
}

// ask sends a request to a service that responds with the fields own. The request has the fields asked.
func (h *house) ask(kind string, own []field, asked ...field) (*http.Response, string) {
	h.t.Helper()
	h.fields = own
	method, path, body := http.MethodPost, "/"+kind, h.steps(kind)
	if kind == "static" {
		method, path, body = http.MethodGet, "/static/page.html", ""
	}
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.Base()+path, strings.NewReader(body))
	require.NoError(h.t, err)
	for _, f := range asked {
		r.Header.Add(f.name, f.value)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(h.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(h.t, err)
	return resp, string(text)
}

// TestHalfABodyIsTheFaultOfTheMiddleware checks that middleware which consumes part of the body is blamed
// for the failed request, with every kind of service. Static files are left out: they take no body.
func TestHalfABodyIsTheFaultOfTheMiddleware(t *testing.T) {
	h := newHouse(t, "halfbody")
	for _, kind := range slices.DeleteFunc(slices.Clone(kindsOfServices), func(kind string) bool { return kind == "static" }) {
		resp, text := h.ask(kind, []field{{"Content-Type", "text/plain"}})
		require.Equal(t, http.StatusBadGateway, resp.StatusCode, "%s: %s", kind, text)
		require.Contains(t, text, "bad-gateway")
		require.NotContains(t, text, ownText)
		line := regexp.MustCompile(`(?m)^.*WARN.*a service failed a request.*service=/` + kind + ` .*$`)
		require.True(t, h.server.await(line), "%s: %s", kind, h.server.stderr)
		require.Regexp(t, `middleware 1 \(module [0-9a-f]{12}\): .*without feature_buffer_request`, line.FindString(h.server.stderr.String()))
	}
}

// fieldsOfOneValue are some fields of httpfield's table.
// Cache-Control is a list, but a service sets it as a whole.
var fieldsOfOneValue = []string{"Content-Type", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Cache-Control",
	"Content-Disposition", "Etag", "Expires", "Last-Modified", "Location", "Retry-After", "Server", "Strict-Transport-Security",
	"X-Content-Type-Options", "X-Frame-Options", "X-Of-Its-Own"}

// ofStaticFiles are the fields that static files set.
var ofStaticFiles = []string{"Content-Type", "Etag", "Last-Modified", "X-Content-Type-Options"}

// TestFieldsOfMiddlewareAndService checks that a field set by middleware before the next
// handler is a default, that one set in handle_response wins, and that no response has both.
func TestFieldsOfMiddlewareAndService(t *testing.T) {
	h := newHouse(t, "preset")
	for _, kind := range kindsOfServices {
		for _, name := range fieldsOfOneValue {
			own, want := []field{{name, "own"}}, []string{"own"}
			if kind == "static" {
				resp, _ := h.ask(kind, nil)
				if own, want = nil, resp.Header[name]; !slices.Contains(ofStaticFiles, name) {
					want = []string{"before"}
				}
			}
			before := []field{{"before-name", name}, {"before-value", "before"}}
			resp, text := h.ask(kind, own, before...)
			require.Equal(t, http.StatusOK, resp.StatusCode, text)
			require.Equal(t, want, resp.Header[name], "%s of %s: the service's value replaces the default", name, kind)
			require.Equal(t, ownText, strings.TrimSpace(text))

			resp, _ = h.ask(kind, own, append(before, field{"after-name", name}, field{"after-value", "after"})...)
			require.Equal(t, []string{"after"}, resp.Header[name], "%s of %s: what handle_response sets counts", name, kind)

			if kind == "static" {
				continue
			}
			other := []field{{"Content-Language", "en"}}
			resp, _ = h.ask(kind, other, before...)
			if kind != "function" || name != "Content-Type" { // functions set their own
				require.Equal(t, []string{"before"}, resp.Header[name], "%s of %s: the default is sent", name, kind)
			}
			if name == "Cache-Control" || name == "X-Of-Its-Own" {
				continue
			}
			resp, _ = h.ask(kind, []field{{name, "own"}, {name, "again"}})
			require.Equal(t, []string{"again"}, resp.Header[name], "%s of %s: the last of the service's values counts", name, kind)
		}
	}
}

// TestFieldsOfMissingFiles checks that a page of another origin can read the status of a file that is not there.
func TestFieldsOfMissingFiles(t *testing.T) {
	h := newHouse(t, "preset")
	for method, want := range map[string]int{http.MethodGet: http.StatusNotFound, http.MethodDelete: http.StatusMethodNotAllowed} {
		r, err := http.NewRequestWithContext(t.Context(), method, h.Base()+"/static/none.html", nil)
		require.NoError(t, err)
		r.Header.Set("Before-Name", "Access-Control-Allow-Origin")
		r.Header.Set("Before-Value", "https://a.example")
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode)
		require.Equal(t, []string{"https://a.example"}, resp.Header["Access-Control-Allow-Origin"], method)
		require.Equal(t, []string{"application/problem+json"}, resp.Header["Content-Type"], method)
	}
}

// TestFieldsThatAreAdded checks that fields to which several parties add keep the values of both.
func TestFieldsThatAreAdded(t *testing.T) {
	h := newHouse(t, "preset")
	for _, kind := range kindsOfServices {
		for _, name := range []string{"Vary", "Set-Cookie", "Link"} {
			own, want := []field{{name, "own"}}, []string{"before", "own"}
			if kind == "static" {
				own, want = nil, []string{"before"}
			}
			if kind == "static" && name == "Vary" {
				require.NoError(t, os.WriteFile(filepath.Join(h.dir, "site", "page.html.gz"), []byte("packed"), 0o644))
				want = append(want, "Accept-Encoding")
			}
			resp, _ := h.ask(kind, own, field{"before-name", name}, field{"before-value", "before"}, field{"Accept-Encoding", "identity"})
			require.Equal(t, want, resp.Header[name], "%s of %s", name, kind)
		}
	}
}
