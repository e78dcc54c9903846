package admin_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/control/admin"
)

// part is a form field.
type part struct{ name, value string }

// fileName is the name of the file in a part for it, or "".
func (p part) fileName() string {
	name, isFile := strings.CutSuffix(p.name, "@")
	switch {
	case isFile:
		return name
	case p.name == "module" || p.name == "use":
		return "a.wasm"
	}
	return ""
}

// form returns a multipart body and its Content-Type. Parts whose name ends in @ are files.
func form(t testing.TB, parts ...part) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		var field io.Writer
		var err error
		if file := p.fileName(); file != "" {
			field, err = w.CreateFormFile(strings.TrimSuffix(p.name, "@"), file)
		} else {
			field, err = w.CreateFormField(p.name)
		}
		require.NoError(t, err)
		_, err = io.WriteString(field, p.value)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String(), w.FormDataContentType()
}

// source serves h as an external source of modules.
func source(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func TestAddForms(t *testing.T) {
	const module = magic + "hello"
	multi, multiType := form(t, part{"memory", "2MiB"}, part{"module", module}, part{"prefix", "/a/b/"}, part{"timeout", "90s"}, part{"isolation", "fresh"})
	elsewhere := source(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, module) })
	text := jsonOf(t, map[string]any{"prefix": "a/b", "source": elsewhere, "memory": 2 << 20, "timeout": "1m30s", "isolation": "fresh"})
	const query = "?prefix=a%2Fb&memory=2MiB&timeout=90s&isolation=fresh"
	tests := []struct{ name, path, contentType, body string }{
		{"raw", "/services/add" + query, "application/wasm", module},
		{"raw, octet-stream", "/services/add" + query, "application/octet-stream", module},
		{"raw, media type with case and parameters", "/services/add" + query, "Application/WASM; version=1", module},
		{"form", "/services/add", multiType, multi},
		{"JSON", "/services/add", "application/json", text},
		{"JSON, with a byte order mark", "/services/add", "application/json", "\ufeff" + text + "\r\n"},
		{"JSON, with charset", "/services/add", `application/json;charset="UTF-8"`, " \n" + text + "\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := start(t, setup{admin: admin.Config{AllowPrivateSources: true}})
			first := st.post(tt.path, tt.contentType, tt.body)
			require.Equal(t, http.StatusCreated, first.status, first.body)
			want := service{
				Prefix:     "/a/b",
				Digest:     first.service(t).Digest,
				Module:     string(registry.DigestOf([]byte(module))),
				Kind:       "wasm",
				ABI:        "test",
				Timeout:    "1m30s",
				Isolation:  "fresh",
				State:      "ready",
				Generation: 1,
				Memory:     2 << 20,
				Size:       int64(len(module)),
				Snapshot:   1 << 16,
			}
			require.Equal(t, want, first.service(t))

			location := first.header.Get("Location")
			require.Equal(t, "/services/inspect?prefix=%2Fa%2Fb", location)
			require.Equal(t, want, st.get(location).service(t))
			require.Equal(t, "hello", st.get("/a/b/c").body)

			second := st.post(tt.path, tt.contentType, tt.body)
			require.Equal(t, http.StatusOK, second.status, second.body)
			require.Empty(t, second.header.Get("Location"))
			require.EqualValues(t, 2, second.service(t).Generation)
		})
	}
}

func TestAddDefaults(t *testing.T) {
	st := start(t, setup{})
	added := st.add("/", "root")
	require.Equal(t, http.StatusCreated, added.status, added.body)
	got := added.service(t)
	require.Equal(t, "/", got.Prefix)
	require.Empty(t, got.Timeout)
	require.EqualValues(t, 1<<20, got.Memory)
	require.NotContains(t, added.body, "last_used")
	require.NotContains(t, added.body, "history")
	require.Equal(t, "root", st.get("/any/thing").body)
}

// refusal is an add request that must fail.
type refusal struct {
	name, path, contentType, body string
	kind                          problem.Kind
	words                         []string // each in the detail or in a violation
}

// requireRefused sends each request and checks the problem, and that nothing changed.
func requireRefused(t *testing.T, st *stack, tests []refusal) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := st.generation()
			got := st.post(tt.path, tt.contentType, tt.body)
			p := got.problem(t, tt.kind)
			told := p.Detail + "\n" + strings.Join(p.Violations, "\n")
			for _, words := range tt.words {
				require.Contains(t, told, words)
			}
			if tt.kind == problem.BadRequest && len(p.Violations) > 0 {
				require.Len(t, p.Violations, len(tt.words), told)
			}
			require.NotContains(t, got.body, "hidden")
			require.Equal(t, before, st.generation())
			require.NotEqual(t, accesslog.OutcomeOK, st.recordOf(p.RequestID).Outcome)
		})
	}
}

func TestAddRefusesRaw(t *testing.T) {
	st := start(t, setup{admin: admin.Config{MaxModuleBytes: 1000}})
	const wasm, add = "application/wasm", "/services/add"
	requireRefused(t, st, []refusal{
		{"no prefix", add, wasm, magic, problem.BadRequest, []string{"prefix is missing"}},
		{"empty prefix", add + "?prefix=", wasm, magic, problem.BadRequest, []string{"empty"}},
		{"reserved", add + "?prefix=services/x", wasm, magic, problem.BadRequest, []string{"reserved"}},
		{"dots and slashes", add + "?prefix=a/..//b", wasm, magic, problem.BadRequest, []string{`".."`, "segment 3 is empty"}},
		{"encoded slash", add + "?prefix=a%252Fb", wasm, magic, problem.BadRequest, []string{"percent-encodings"}},
		{"control character", add + "?prefix=a%00b", wasm, magic, problem.BadRequest, []string{"control character 0x00"}},
		{"duplicate", add + "?prefix=a&prefix=b", wasm, magic, problem.BadRequest, []string{"prefix is given more than once"}},
		{"malformed query", add + "?prefix=a;b=c", wasm, magic, problem.BadRequest, []string{"query is malformed", "prefix is missing"}},
		{"empty body", add + "?prefix=a", wasm, "", problem.BadRequest, []string{"module is empty"}},
		{"unknown option", add + "?prefix=a&cpu=2", wasm, magic, problem.BadRequest, []string{`cpu is unknown: expected are prefix, match, memory, timeout, work_limit`}},
		{
			"all at once", add + "?memory=much&timeout=-1s&isolation=none&Prefix=x&source=y", wasm, "", problem.BadRequest,
			[]string{"prefix is missing", `memory is "much": write it like 16MiB`, `timeout is "-1s"`, `isolation is "none"`, "Prefix is unknown", "source is unknown", "module is empty"},
		},
		{"memory 0", add + "?prefix=a&memory=0", wasm, magic, problem.BadRequest, []string{"more than 0"}},
		{"memory beyond counting", add + "?prefix=a&memory=9EiB", wasm, magic, problem.BadRequest, []string{"less than 8 EiB"}},
		{"memory empty", add + "?prefix=a&memory=", wasm, magic, problem.BadRequest, []string{`memory is ""`}},
		{"timeout without unit", add + "?prefix=a&timeout=10", wasm, magic, problem.BadRequest, []string{"write it like 500ms"}},
		{"timeout 0", add + "?prefix=a&timeout=0", wasm, magic, problem.BadRequest, []string{"more than 0"}},
		{"not a module", add + "?prefix=a", wasm, "#!/bin/sh", problem.ModuleInvalid, []string{"not a WebAssembly module"}},
		{"too much memory", add + "?prefix=a&memory=2GiB", wasm, magic, problem.ModuleInvalid, []string{"more memory than there is"}},
		{"too large", add + "?prefix=a", wasm, magic + strings.Repeat("x", 993), problem.BodyTooLarge, []string{"1001 bytes", "at most 1000"}},
		{"no type", add + "?prefix=a", "", magic, problem.UnsupportedMediaType, []string{"application/wasm or application/octet-stream", "multipart/form-data", "application/json"}},
		{"type of curl", add + "?prefix=a", "application/x-www-form-urlencoded", magic, problem.UnsupportedMediaType, []string{"-H 'Content-Type: application/wasm'"}},
		{"other type", add + "?prefix=a", "text/plain", magic, problem.UnsupportedMediaType, []string{`"text/plain"`}},
		{"malformed type", add + "?prefix=a", "application/", magic, problem.UnsupportedMediaType, []string{"malformed"}},
	})
}

func TestAddRefusesManyViolationsBriefly(t *testing.T) {
	st := start(t, setup{})
	var query strings.Builder
	for i := range 500 {
		fmt.Fprintf(&query, "&x%03d=1", i)
	}
	p := st.post("/services/add?prefix=a"+query.String(), "application/wasm", magic).problem(t, problem.BadRequest)
	require.Len(t, p.Violations, 21)
	require.Equal(t, "and 480 more", p.Violations[20])
}

func TestAddRefusesHeaders(t *testing.T) {
	st := start(t, setup{})
	for header, words := range map[string]string{"Content-Encoding": "gzip", "Content-Type": "given twice"} {
		r := st.request(http.MethodPost, "/services/add?prefix=a", "application/wasm", strings.NewReader(magic))
		r.Header.Add(header, "gzip")
		require.Contains(t, st.do(r).problem(t, problem.UnsupportedMediaType).Detail, words)
	}
}

func TestAddRefusesForms(t *testing.T) {
	st := start(t, setup{admin: admin.Config{MaxModuleBytes: 1000}})
	const add = "/services/add"
	prefix, module := part{"prefix", "a"}, part{"module", magic}
	multi := func(name string, kind problem.Kind, words []string, parts ...part) refusal {
		body, contentType := form(t, parts...)
		return refusal{name, add, contentType, body, kind, words}
	}
	whole, wholeType := form(t, prefix, module)
	encoded := strings.Replace(whole, "Content-Type: application/octet-stream\r\n", "Content-Transfer-Encoding: base64\r\n", 1)
	nameless := strings.Replace(whole, `name="prefix"`, `nom="prefix"`, 1)
	var many []part
	for range 450 {
		many = append(many, part{"allow", "https://example.com"})
	}
	manyWords := []string{"more than 400 parts"}
	requireRefused(t, st, []refusal{
		multi("nothing", problem.BadRequest, []string{"prefix is missing", "module is missing"}),
		multi("no module", problem.BadRequest, []string{"module is missing"}, prefix),
		multi("empty module", problem.BadRequest, []string{"module is empty"}, prefix, part{"module", ""}),
		multi("no prefix", problem.BadRequest, []string{"prefix is missing"}, module),
		multi("duplicates", problem.BadRequest, []string{"prefix is given more than once", "module is given more than once"}, prefix, module, module, part{"prefix", "b"}),
		multi("unknown and invalid", problem.BadRequest, []string{`source is unknown`, `"x"`}, prefix, module, part{"source", "http://hidden"}, part{"memory", "x"}),
		multi("long field", problem.BadRequest, []string{"prefix is longer than 4096 bytes"}, part{"prefix", strings.Repeat("a", 5000)}, module),
		multi("long text", problem.BadRequest, []string{"config is longer than 262144 bytes"}, prefix, module, part{"config@", strings.Repeat("a", 256<<10+1)}),
		multi("text and settings", problem.BadRequest, []string{"config is given more than once"}, prefix, module, part{"config@", "a"}, part{"config", "a=b"}),
		multi("settings and text", problem.BadRequest, []string{"config is given more than once"}, prefix, module, part{"config", "a=b"}, part{"config@", "a"}),
		multi("too many parts", problem.BadRequest, manyWords, many...),
		multi("too large", problem.BodyTooLarge, []string{"1000 bytes"}, prefix, part{"module", strings.Repeat("x", 1001)}),
		multi("far too large", problem.BodyTooLarge, []string{"at most"}, prefix, part{"module", strings.Repeat("x", 1_000_000)}),
		{"with a query", add + "?prefix=a", wholeType, whole, problem.BadRequest, []string{"query is not empty"}},
		{"no boundary", add, "multipart/form-data", whole, problem.BadRequest, []string{"no boundary"}},
		{"other boundary", add, "multipart/form-data; boundary=x", whole, problem.BadRequest, []string{"form is malformed or ends early"}},
		{"cut short", add, wholeType, whole[:len(whole)-10], problem.BadRequest, []string{"form is malformed or ends early"}},
		{"empty body", add, wholeType, "", problem.BadRequest, []string{"form is malformed or ends early"}},
		{"part header without an end", add, wholeType, whole[:60] + strings.Repeat("x", 60_000), problem.BadRequest, []string{"form is malformed"}},
		{"transfer encoding", add, wholeType, encoded, problem.BadRequest, []string{`Content-Transfer-Encoding "base64"`, "module is missing"}},
		{"nameless part", add, wholeType, nameless, problem.BadRequest, []string{"no name", "prefix is missing"}},
	})
}

func TestAddRefusesJSON(t *testing.T) {
	st := start(t, setup{})
	object := func(name, body string, words ...string) refusal {
		return refusal{name, "/services/add", "application/json", body, problem.BadRequest, words}
	}
	requireRefused(t, st, []refusal{
		object("empty body", " \n", "body is empty"),
		object("empty object", "{}", "prefix is missing", "source is missing"),
		object("not JSON", "prefix=a", "malformed at byte 1"),
		object("array", `["a"]`, "not an object"),
		object("null", `null`, "not an object"),
		object("trailing garbage", `{"prefix":"a","source":"https://example.com"} x`, "malformed at byte 47"),
		object("two objects", `{}{}`, "malformed at byte 3"),
		object("cut short", `{"prefix":"a"`, "malformed at byte 13"),
		object("trailing comma", `{"prefix":"a",}`, "malformed at byte 15"),
		object("too deep", `{"prefix":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+`}`, "exceeded max depth"),
		object("nested", `{"prefix":{"prefix":"a"},"source":["https://example.com"]}`, "prefix must be a string", "source must be a string"),
		object("nulls", `{"prefix":null,"source":null,"memory":null}`, "prefix must be a string", "source must be a string", "memory must be a string"),
		object("duplicate", `{"prefix":"a","source":"https://example.com","prefix":"b"}`, "prefix is given more than once"),
		object("duplicate, escaped", `{"prefix":"a","source":"https://example.com","pre\u0066ix":"b"}`, "prefix is given more than once"),
		object("other case", `{"Prefix":"a","source":"https://example.com"}`, `Prefix is unknown`, "prefix is missing"),
		object("module inline", `{"prefix":"a","module":"AGFzbQ=="}`, `module is unknown`, "source is missing"),
		object("fraction", `{"prefix":"a","source":"https://example.com","memory":1.5}`, "memory must be"),
		object("negative", `{"prefix":"a","source":"https://example.com","memory":-1}`, "memory must be"),
		object("number as timeout", `{"prefix":"a","source":"https://example.com","timeout":10}`, "timeout must be a string"),
		object("not UTF-8", "{\"prefix\":\"\xff\"}", "UTF-8"),
		object("file", `{"prefix":"a","source":"file:///etc/hidden"}`, `scheme "file"`),
		object("no address", `{"prefix":"a","source":"hidden"}`, `scheme ""`),
		{"with a query", "/services/add?memory=1", "application/json", `{"prefix":"a","source":"https://example.com"}`, problem.BadRequest, []string{"query is not empty"}},
		{"too large", "/services/add", "application/json", strings.Repeat(" ", 1<<20+64<<10) + "{}", problem.BodyTooLarge, []string{"1114112"}},
		{"other charset", "/services/add", "application/json; charset=latin1", "{}", problem.UnsupportedMediaType, []string{"latin1"}},
	})
}

func TestAddChunkedBodyOverTheLimit(t *testing.T) {
	st := start(t, setup{admin: admin.Config{MaxModuleBytes: 1000}})
	r := st.request(http.MethodPost, "/services/add?prefix=a", "application/wasm", io.MultiReader(strings.NewReader(strings.Repeat("x", 1001))))
	require.Contains(t, st.do(r).problem(t, problem.BodyTooLarge).Detail, "1000 bytes")
	require.Zero(t, st.generation())
}

func TestAddRefusesLargeBodyBeforeItIsSent(t *testing.T) {
	st := start(t, setup{admin: admin.Config{MaxModuleBytes: 1000}})
	body := &readCounter{Reader: strings.NewReader(strings.Repeat("x", 1<<20))}
	r := st.request(http.MethodPost, "/services/add?prefix=a", "application/wasm", body)
	r.ContentLength = 1 << 20
	r.Header.Set("Expect", "100-continue")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}}
	resp, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	require.Zero(t, body.reads)
}

type readCounter struct {
	io.Reader
	reads int
}

func (r *readCounter) Read(p []byte) (int, error) {
	r.reads++
	return r.Reader.Read(p)
}

func TestAddFailsInsideTheHost(t *testing.T) {
	st := start(t, setup{})
	got := st.add("a", "disk")
	p := got.problem(t, problem.Internal)
	require.NotContains(t, got.body, "secret")
	record := st.recordOf(p.RequestID)
	require.ErrorIs(t, record.Err, errDisk)
	require.Equal(t, accesslog.OutcomeHostError, record.Outcome)
	require.Zero(t, st.generation())
}

func TestAddFromSources(t *testing.T) {
	elsewhere := source(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stalls":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/large":
			w.Write(make([]byte, 1001))
		case "/page":
			io.WriteString(w, "<html>")
		case "/file":
			http.Redirect(w, r, "ftp://example.com", http.StatusFound)
		case "/short":
			w.Header().Set("Content-Length", "500")
			io.WriteString(w, magic)
		default:
			http.NotFound(w, r)
		}
	})
	at := func(name, path string, kind problem.Kind, words ...string) refusal {
		address := strings.Replace(elsewhere, "http://", "http://user:hidden@", 1) + path + "?hidden"
		return refusal{name, "/services/add", "application/json", jsonOf(t, map[string]string{"prefix": "a", "source": address}), kind, words}
	}
	open := start(t, setup{admin: admin.Config{AllowPrivateSources: true, MaxModuleBytes: 1000, FetchTimeout: 100 * time.Millisecond}})
	requireRefused(t, open, []refusal{
		at("missing", "/missing", problem.SourceUnavailable, "answered 404 Not Found", "nothing was changed"),
		at("stalls", "/stalls", problem.SourceUnavailable, "within 100ms"),
		at("short", "/short", problem.SourceUnavailable, "announced 500 bytes and closed the connection after 8"),
		at("large", "/large", problem.BodyTooLarge, "1000 bytes"),
		at("not a module", "/page", problem.ModuleInvalid, "not a WebAssembly module"),
		at("redirects to a file", "/file", problem.BadRequest, "redirects to an address that is not fetched"),
		{"metadata service", "/services/add", "application/json", `{"prefix":"a","source":"http://169.254.169.254/latest"}`, problem.Forbidden, []string{"cloud metadata"}},
	})
	closed := start(t, setup{})
	requireRefused(t, closed, []refusal{at("local", "/", problem.Forbidden, "a loopback address", "--allow-private-sources")})
}
