package admin_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/audit"
	"github.com/vespo-dev/vespo/services/control/tokens"
	"github.com/vespo-dev/vespo/services/schema"
)

// guarded is a server with tokens and without an admin token.
type guarded struct {
	*stack
	store *tokens.Store
}

func startGuarded(t *testing.T, s setup, adminToken string) *guarded {
	t.Helper()
	store, damage, err := tokens.OpenStore(durable.Dir(t.TempDir()))
	require.NoError(t, err)
	require.NoError(t, damage)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	s.admin.Authority = tokens.New(tokens.Config{AdminToken: adminToken, Store: store})
	return &guarded{stack: start(t, s), store: store}
}

// create makes a token over the API.
func (g *guarded) create(name string, scopes ...string) string {
	g.t.Helper()
	var made struct{ Token string }
	a := g.post("/services/tokens/create?"+url.Values{"name": {name}, "scope": scopes}.Encode(), "", "")
	require.Equal(g.t, http.StatusCreated, a.status, a.body)
	decodeInto(g.t, a, &made)
	return made.Token
}

// as sends a request with a token. A body is a module.
func (g *guarded) as(token, method, path, body string) answer {
	g.t.Helper()
	contentType := ""
	if body != "" {
		contentType = "application/wasm"
	}
	r := g.request(method, path, contentType, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	return g.do(r)
}

func TestTokensOverTheAPI(t *testing.T) {
	g := startGuarded(t, setup{}, "")
	token := g.create("ci", "deploy:/a/*", "read")
	list := g.get("/services/tokens")
	require.Contains(t, list.body, `"name":"ci"`)
	require.Contains(t, list.body, `"scopes":["deploy:/a/*","read"]`)
	require.Contains(t, list.body, `"created_by":"local"`)
	require.Contains(t, list.body, `"expires":"`, "tokens expire unless they are asked not to")
	require.NotContains(t, list.body, token)
	require.NotContains(t, list.body, "sha256")

	who := g.as(token, http.MethodGet, "/services/whoami", "")
	require.Contains(t, who.body, `"kind":"token","name":"ci"`)
	require.Contains(t, g.get("/services/whoami").body, `{"kind":"local","scopes":["admin"]}`, "programs on this machine keep their rights")

	g.post("/services/tokens/create?name=ci&scope=read", "", "").problem(t, problem.Conflict)
	refused := g.post("/services/tokens/create?name=x&scope=write&expires=1y", "", "").problem(t, problem.BadRequest)
	require.Len(t, refused.Violations, 2)
	g.as(token, http.MethodPost, "/services/tokens/create?name=mine&scope=admin", "").problem(t, problem.Forbidden)
	g.as(token, http.MethodGet, "/services/tokens", "").problem(t, problem.Forbidden)

	require.Contains(t, g.post("/services/tokens/revoke?name=ci", "", "").body, `"state":"revoked"`)
	p := g.as(token, http.MethodGet, "/services/whoami", "").problem(t, problem.Unauthorized)
	require.Contains(t, p.Detail, "in use", "the holder of a revoked token is not a program on this machine")
	g.post("/services/tokens/revoke?name=ci", "", "").problem(t, problem.NotFound)
}

// A token is accepted on every listener, and makes nothing else accepted there.
func TestTokensOnPublicListeners(t *testing.T) {
	local := startGuarded(t, setup{}, "")
	token := local.create("ci", "read")
	g := startGuarded(t, setup{listener: publicListener, admin: admin.Config{}}, "")
	g.get("/services").problem(t, problem.Forbidden)
	g.as(token, http.MethodGet, "/services", "").problem(t, problem.Unauthorized) // of another server
	made, _, err := g.store.Create(tokens.Request{Name: "x", Scopes: mustScopes(t, "read")})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, g.as(made, http.MethodGet, "/services", "").status)
	g.get("/services").problem(t, problem.Forbidden)

	// With an admin token, the others are accepted beside it, and no request without one.
	g = startGuarded(t, setup{}, "correct horse battery")
	made, _, err = g.store.Create(tokens.Request{Name: "x", Scopes: mustScopes(t, "read")})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, g.as(made, http.MethodGet, "/services", "").status)
	require.Contains(t, g.as("correct horse battery", http.MethodGet, "/services/whoami", "").body, `"kind":"admin-token"`)
	g.get("/services/whoami").problem(t, problem.Unauthorized)
}

// A deploy token changes and sees its services, and no other.
func TestDeployTokens(t *testing.T) {
	g := startGuarded(t, setup{}, "")
	require.Equal(t, http.StatusCreated, g.add("b", "other").status)
	token := g.create("team-a", "deploy:/a/*")
	for _, prefix := range []string{"/a", "/a/x"} {
		require.Equal(t, http.StatusCreated, g.as(token, http.MethodPost, "/services/add?prefix="+prefix, magic+"one").status)
		require.Equal(t, http.StatusOK, g.as(token, http.MethodPost, "/services/add?prefix="+prefix, magic+"two").status)
		require.Equal(t, http.StatusOK, g.as(token, http.MethodPost, "/services/rollback?prefix="+prefix, "").status)
		require.Equal(t, http.StatusOK, g.as(token, http.MethodGet, "/services/inspect?prefix="+prefix, "").status)
	}
	require.Equal(t, []string{"/a", "/a/x"}, prefixes(t, g.as(token, http.MethodGet, "/services", "")))
	require.Equal(t, []string{"/a", "/a/x", "/b"}, prefixes(t, g.as(g.create("eye", "read"), http.MethodGet, "/services", "")))

	for _, prefix := range []string{"/", "/b", "/ab", "/none"} {
		for path, body := range map[string]string{"add": magic + "bad", "remove": "", "rollback": "", "trigger": ""} {
			p := g.as(token, http.MethodPost, "/services/"+path+"?prefix="+prefix, body).problem(t, problem.Forbidden)
			require.Contains(t, p.Detail, "token team-a has the scopes deploy:/a/*")
		}
		g.as(token, http.MethodGet, "/services/inspect?prefix="+prefix, "").problem(t, problem.Forbidden)
	}
	for _, path := range []string{"/services/kv", "/services/kv/export?store=x", "/services/tokens", "/services/none"} {
		want := problem.Forbidden
		if path == "/services/none" {
			want = problem.NotFound
		}
		g.as(token, http.MethodGet, path, "").problem(t, want)
	}
	body, contentType := form(t, part{"prefix", "/b"}, part{"module", magic + "bad"})
	r := g.request(http.MethodPost, "/services/add", contentType, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	g.do(r).problem(t, problem.Forbidden)
	require.Equal(t, "other", g.get("/b").body)
	require.Equal(t, http.StatusOK, g.as(token, http.MethodPost, "/services/remove?prefix=/a/x", "").status)
}

// A deploy token keeps the grants of a service, and adds none: not by a deploy, not by a rollback, and not by another kind.
func TestDeployTokensAddNoGrants(t *testing.T) {
	g := startGuarded(t, setup{}, "")
	token := g.create("team-a", "deploy:/a/*")
	grants := []string{
		"allow=https://api.example.com",
		"allow=10.0.0.0/8",
		"allow=http://b.vespo.internal",
		"mount=/x%3Dsecrets",
		"kv=notes",
		"kv=mine%3Dnotes",
	}
	for _, grant := range grants {
		p := g.as(token, http.MethodPost, "/services/add?prefix=/a&"+grant, magic+"one").problem(t, problem.Forbidden)
		require.Contains(t, p.Detail, "scope admin")
	}
	for _, query := range []string{"upstream=http://127.0.0.1:1", "function=true&runtime_port=9", "exec=/bin/sh&exec_arg=-c", "upstream=http://127.0.0.1:1&host=client"} {
		p := g.as(token, http.MethodPost, "/services/add?prefix=/a&"+query, "").problem(t, problem.Forbidden)
		require.Contains(t, p.Detail, "scope admin")
	}
	require.Equal(t, http.StatusNotFound, g.get("/services/inspect?prefix=/a").status, "nothing was added")

	// An administrator grants, and the token keeps it with new code, or with the same options given again.
	require.Equal(t, http.StatusCreated, g.post("/services/add?prefix=/a&allow=https://api.example.com&allow=https://b.example.com&config=A%3D1", "application/wasm", magic+"one").status)
	for _, query := range []string{"", "&allow=https://b.example.com&allow=https://api.example.com", "&config=A%3D2&timeout=1s&cron=@daily", "&allow=https://api.example.com"} {
		a := g.as(token, http.MethodPost, "/services/add?prefix=/a"+query, magic+"two"+query)
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	g.as(token, http.MethodPost, "/services/add?prefix=/a&allow=https://b.example.com", magic+"three").problem(t, problem.Forbidden)

	// A grant that was removed does not come back by a rollback.
	g.as(token, http.MethodPost, "/services/rollback?prefix=/a", "").problem(t, problem.Forbidden)
	split := "/services/split?" + url.Values{"prefix": {"/a"}, "split": {"1=50%", "4=50%"}}.Encode()
	require.Contains(t, g.as(token, http.MethodPost, split, "").problem(t, problem.Forbidden).Detail, "adds to allow", "nor by a part of the traffic")
	require.Equal(t, http.StatusOK, g.post("/services/rollback?prefix=/a", "", "").status, "an administrator may")

	// A service of another kind is not changed, but it can be replaced by a module or removed.
	require.Equal(t, http.StatusCreated, g.post("/services/add?prefix=/a/p&upstream=http://127.0.0.1:1", "", "").status)
	g.as(token, http.MethodPost, "/services/add?prefix=/a/p&upstream=http://127.0.0.1:1&timeout=1s", "").problem(t, problem.Forbidden)
	require.Equal(t, http.StatusOK, g.as(token, http.MethodPost, "/services/add?prefix=/a/p", magic+"module").status)
	g.as(token, http.MethodPost, "/services/rollback?prefix=/a/p", "").problem(t, problem.Forbidden)
	require.Equal(t, http.StatusOK, g.as(token, http.MethodPost, "/services/remove?prefix=/a/p", "").status)
}

// TestFieldsThatAreGrants lists the fields that only administrators set. A new field or kind belongs into that list, or into
// the one of fields that reach nothing beyond the prefix of a service.
func TestFieldsThatAreGrants(t *testing.T) {
	safe := map[string]string{
		"wasm":          "module memory timeout work_limit isolation warm cgi_args config on replicas",
		"wasm-function": "module memory timeout work_limit isolation cgi_args config function",
		"queue":         "queue depth lease redeliver durable timeout",
	}
	granted := map[string]string{
		"wasm":          "allow mount kv",
		"wasm-function": "allow mount kv",
		"queue":         "default",
	}
	for _, kind := range kindsOf() {
		for _, f := range kind.Forms {
			require.Equal(t, safe[kind.Name] != "", f.Delegated, kind.Name)
			var open, grants []string
			for _, field := range f.Fields[:len(f.Fields)-len(schema.Shared())] {
				switch {
				case field.Grant:
					grants = append(grants, field.Name)
				case f.Delegated:
					open = append(open, field.Name)
				}
			}
			require.Equal(t, safe[kind.Name], strings.Join(open, " "), kind.Name)
			require.Equal(t, granted[kind.Name], strings.Join(grants, " "), kind.Name)
		}
	}
}

// A request in progress ends with its token.
func TestRequestsEndWithTheirToken(t *testing.T) {
	g := startGuarded(t, setup{}, "")
	token := g.create("ci", "deploy:/a")
	done := make(chan answer)
	go func() { done <- g.as(token, http.MethodPost, "/services/add?prefix=/a", magic+"slow") }()
	<-g.kind.preparing
	require.Equal(t, http.StatusOK, g.post("/services/tokens/revoke?name=ci", "", "").status)
	p := (<-done).problem(t, problem.Unauthorized)
	require.Contains(t, p.Detail, "revoked")
	require.Equal(t, http.StatusNotFound, g.get("/services/inspect?prefix=/a").status)
}

func TestFailuresAreAnswered(t *testing.T) {
	g := startGuarded(t, setup{}, "correct horse battery")
	var last answer
	for range 12 {
		last = g.as("wrong", http.MethodGet, "/services", "")
	}
	last.problem(t, problem.TooManyRequests)
	require.NotEmpty(t, last.header.Get("Retry-After"))
	var view struct{ State string }
	require.NoError(t, json.Unmarshal([]byte(g.get("/services/health").body), &view))
	require.Equal(t, "ok", view.State)
}

// failingFS fails to create files.
type failingFS struct{ durable.FS }

var errFull = errors.New("no space left on /var/secret")

func (failingFS) Create(string, fs.FileMode) (durable.File, error) { return nil, errFull }

// A change is refused if it would leave no trace. Reading and serving need no log.
func TestChangesNeedTheAuditLog(t *testing.T) {
	log, err := audit.Open(audit.Config{FS: failingFS{durable.Dir(t.TempDir())}})
	require.NoError(t, err)
	auditor := &admin.Auditor{Kinds: kindsOf(), Log: log, Report: slog.New(slog.DiscardHandler)}
	g := startGuarded(t, setup{admin: admin.Config{Audit: auditor}}, "")
	for _, path := range []string{"/services/add?prefix=a", "/services/tokens/create?name=x&scope=read"} {
		contentType, body := "", ""
		if strings.Contains(path, "add") {
			contentType, body = "application/wasm", magic+"one"
		}
		a := g.post(path, contentType, body)
		p := a.problem(t, problem.InsufficientStorage)
		require.Contains(t, p.Detail, "the audit log cannot be written")
		require.NotContains(t, a.body, "/var/secret")
	}
	require.Empty(t, g.store.List())
	require.Zero(t, g.generation())
	require.Equal(t, http.StatusOK, g.get("/services").status)
}
