package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/servicetest/allkinds"
)

func prefixes(t *testing.T, a answer) []string {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	var view struct{ Services []service }
	require.NoError(t, json.Unmarshal([]byte(a.body), &view), a.body)
	require.NotNil(t, view.Services)
	got := []string{}
	for _, s := range view.Services {
		got = append(got, s.Prefix)
	}
	return got
}

func TestLifeOfAService(t *testing.T) {
	st := start(t, setup{})
	require.Equal(t, `{"services":[]}`, strings.TrimSpace(st.get("/services").body))
	for _, prefix := range []string{"b", "a/c", "/", "a"} {
		require.Equal(t, http.StatusCreated, st.add(prefix, "one").status)
	}
	for _, path := range []string{"/services", "/services/", "/services/list"} {
		require.Equal(t, []string{"/", "/a", "/a/c", "/b"}, prefixes(t, st.get(path)))
	}

	one := registry.DigestOf([]byte(magic + "one"))
	two := registry.DigestOf([]byte(magic + "two"))
	require.Equal(t, http.StatusOK, st.post("/services/add?prefix=a&memory=1MiB", "application/wasm", magic+"two").status)
	require.Equal(t, "two", st.get("/a").body)
	inspected := st.get("/services/inspect?prefix=/a/").service(t)
	require.Equal(t, string(two), inspected.Module)
	require.Len(t, inspected.History, 1)
	before := inspected.History[0]
	require.Equal(t, service{Digest: before.Digest, Module: string(one), Kind: "wasm", Generation: 4, Size: int64(len(magic) + 3)}, before)
	require.NotContains(t, []string{before.Digest, inspected.Digest}, inspected.Module, "a version is more than its module")

	back := st.post("/services/rollback?prefix=a", "", "")
	require.Equal(t, http.StatusOK, back.status, back.body)
	require.Equal(t, string(one), back.service(t).Module)
	require.Equal(t, before.Digest, back.service(t).Digest)
	require.Contains(t, back.body, `"rolled_back_to":4`)
	require.Equal(t, "one", st.get("/a").body)
	forth := st.post("/services/rollback?prefix=a&generation=5", "", "")
	require.Equal(t, string(two), forth.service(t).Module)
	require.Equal(t, inspected.Digest, forth.service(t).Digest)
	require.Equal(t, "two", st.get("/a").body)

	removed := st.post("/services/remove?prefix=a", "", "")
	require.Equal(t, http.StatusOK, removed.status)
	require.JSONEq(t, `{"prefix":"/a","state":"removed"}`, removed.body)
	require.Equal(t, []string{"/", "/a/c", "/b"}, prefixes(t, st.get("/services/list")))
	require.Equal(t, "one", st.get("/a").body, "what has the prefix / serves now")
}

func TestRequestsAreCounted(t *testing.T) {
	st := start(t, setup{})
	counted := func(prefix string) (requests, errors uint64) {
		var v struct{ Requests, Errors uint64 }
		require.NoError(t, json.Unmarshal([]byte(st.get("/services/inspect?prefix="+prefix).body), &v))
		return v.Requests, v.Errors
	}
	require.Contains(t, st.add("a", "one").body, `"requests":0,"errors":0`)
	require.Equal(t, http.StatusOK, st.get("/a").status)
	require.Equal(t, http.StatusCreated, st.post("/services/add?prefix=b&upstream=http://127.0.0.1:1", "", "").status)
	require.Equal(t, http.StatusBadGateway, st.get("/b").status)
	require.Eventually(t, func() bool {
		okRequests, okErrors := counted("a")
		badRequests, badErrors := counted("b")
		return okRequests == 1 && okErrors == 0 && badRequests == 1 && badErrors == 1
	}, time.Minute, time.Millisecond)
	require.Equal(t, http.StatusOK, st.add("a", "two").status)
	requests, _ := counted("a")
	require.Zero(t, requests, "of the new version")
}

func TestManageRefuses(t *testing.T) {
	st := start(t, setup{})
	require.Equal(t, http.StatusCreated, st.add("a", "one").status)
	tests := []struct {
		method, path, body string
		kind               problem.Kind
		words              string
	}{
		{"GET", "/services/inspect", "", problem.BadRequest, "prefix is missing"},
		{"GET", "/services/inspect?prefix=..", "", problem.BadRequest, `".."`},
		{"GET", "/services/inspect?prefix=b", "", problem.NotFound, "no service"},
		{"GET", "/services/inspect?prefix=a&x=1", "", problem.BadRequest, "x is unknown"},
		{"GET", "/services/list?prefix=a", "", problem.BadRequest, "none is expected here"},
		{"POST", "/services/remove", "", problem.BadRequest, "prefix is missing"},
		{"POST", "/services/remove?prefix=b", "", problem.NotFound, "no service"},
		{"POST", "/services/remove?prefix=a&prefix=a", "", problem.BadRequest, "more than once"},
		{"POST", "/services/remove", "prefix=a", problem.BadRequest, "give everything in the query"},
		{"POST", "/services/rollback?prefix=b", "", problem.NotFound, "no service"},
		{"POST", "/services/rollback?prefix=a", "", problem.Conflict, "no earlier version"},
		{"POST", "/services/rollback?prefix=a&generation=7", "", problem.Conflict, "no earlier version"},
		{"POST", "/services/rollback?prefix=a&generation=0", "", problem.BadRequest, "history"},
		{"POST", "/services/rollback?prefix=a&generation=x", "", problem.BadRequest, "history"},
		{"GET", "/services/nothing", "", problem.NotFound, "/services/list"},
		{"GET", "/services/list/", "", problem.NotFound, "/services/list"},
		{"POST", "/services/add/x?prefix=b", magic, problem.NotFound, "/services/list"},
		{"GET", "/services/%6cist", "", problem.NotFound, "/services/list"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			got := st.do(st.request(tt.method, tt.path, "", strings.NewReader(tt.body)))
			p := got.problem(t, tt.kind)
			require.Contains(t, p.Detail+strings.Join(p.Violations, "\n"), tt.words)
			require.EqualValues(t, 1, st.generation())
		})
	}
}

func TestMethods(t *testing.T) {
	st := start(t, setup{})
	require.Equal(t, http.StatusCreated, st.add("a", "one").status)
	gets := []string{"/services", "/services/list", "/services/inspect?prefix=a", "/services/health", "/services/ready"}
	posts := []string{"/services/add?prefix=b", "/services/remove?prefix=a", "/services/rollback?prefix=a"}
	for _, path := range gets {
		head := st.do(st.request(http.MethodHead, path, "", nil))
		whole := st.get(path)
		require.Equal(t, http.StatusOK, head.status, path)
		require.Empty(t, head.body)
		require.Equal(t, whole.header.Get("Content-Length"), head.header.Get("Content-Length"))
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH"} {
			refused := st.do(st.request(method, path, "", nil))
			refused.problem(t, problem.MethodNotAllowed)
			require.Equal(t, "GET, HEAD", refused.header.Get("Allow"))
		}
	}
	for _, path := range posts {
		for _, method := range []string{"GET", "PUT", "DELETE", "OPTIONS"} {
			refused := st.do(st.request(method, path, "", nil))
			refused.problem(t, problem.MethodNotAllowed)
			require.Equal(t, "POST", refused.header.Get("Allow"))
		}
	}
	require.EqualValues(t, 1, st.generation())
}

func TestHealthAndReadiness(t *testing.T) {
	st := start(t, setup{})
	require.JSONEq(t, `{"state":"ok"}`, st.get("/services/health").body)
	require.JSONEq(t, `{"state":"ready"}`, st.get("/services/ready").body)

	early := start(t, setup{detached: true})
	require.JSONEq(t, `{"state":"ok"}`, early.get("/services/health").body)
	early.add("a", "one").problem(t, problem.NotReady)
	for _, path := range []string{"/services/ready", "/services/list", "/services/inspect?prefix=a"} {
		got := early.get(path)
		got.problem(t, problem.NotReady)
		require.NotEmpty(t, got.header.Get("Retry-After"))
	}
	for _, path := range []string{"/services/remove?prefix=a", "/services/rollback?prefix=a"} {
		early.post(path, "", "").problem(t, problem.NotReady)
	}
}

// failed is a Deployer whose catalogue has a service that could not be prepared.
type failed struct {
	admin.Deployer
	entries []deploy.Entry
}

func (f failed) Ready() bool          { return false }
func (f failed) Progress() (int, int) { return 12, 30 }
func (f failed) List() []deploy.Entry { return f.entries }

// The list and the readiness check report the progress of the start.
func TestProgressOfTheStart(t *testing.T) {
	h := admin.New(admin.Config{Token: "t"})
	h.Attach(failed{})
	for path, want := range map[string]struct {
		status int
		words  string
	}{
		"/services/list":  {http.StatusOK, `{"services":[],"starting":{"done":12,"total":30}}`},
		"/services/ready": {http.StatusServiceUnavailable, "starting, 12 of 30"},
	} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer t")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, want.status, w.Code)
		require.Contains(t, w.Body.String(), want.words)
		require.Equal(t, want.status == http.StatusServiceUnavailable, w.Header().Get("Retry-After") != "")
	}
}

func TestFailedServicesSayWhy(t *testing.T) {
	current := registry.Version{Kind: "wasm", Manifest: `{"isolation":"fresh","memory":1048576}`}
	status := services.Status{State: services.StateFailed}
	told := problem.New(problem.ModuleInvalid, "the module is bad")
	told.Violations = []problem.Violation{{Text: "in two ways"}}
	h := admin.New(admin.Config{Token: "t", Kinds: allkinds.Describe()})
	h.Attach(failed{entries: []deploy.Entry{
		{Service: registry.Service{Key: routekey.MustParse("/a"), Current: current}, Status: status, Problem: fmt.Errorf("boot: %w", told)},
		{Service: registry.Service{Key: routekey.MustParse("/b"), Current: current}, Status: status, Problem: errDisk},
	}})
	ask := func(path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer t")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	var view struct{ Services []service }
	require.NoError(t, json.Unmarshal(ask("/services/list").Body.Bytes(), &view))
	require.Equal(t, "the module is bad; in two ways", view.Services[0].Problem)
	require.Equal(t, "the service could not be prepared; the server's log has the reason", view.Services[1].Problem)
	require.Equal(t, "failed", view.Services[1].State)
	require.EqualValues(t, 1<<20, view.Services[1].Memory)
	require.Equal(t, "fresh", view.Services[1].Isolation)
	require.Equal(t, http.StatusServiceUnavailable, ask("/services/ready").Code)
}

// Concurrent adds, reads and removals get correct answers. Run with the race detector.
func TestManageConcurrently(t *testing.T) {
	st := start(t, setup{admin: admin.Config{MaxChanges: 4, MaxReads: 100}})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 5 {
				prefix, text := fmt.Sprintf("p%d", i), fmt.Sprintf("text %d", n)
				require.Less(t, st.add(prefix, text).status, 300)
				require.Equal(t, text, st.get("/"+prefix).body)
				require.Contains(t, prefixes(t, st.get("/services")), "/"+prefix)
			}
			require.Equal(t, http.StatusOK, st.post(fmt.Sprintf("/services/remove?prefix=p%d", i), "", "").status)
		})
	}
	wg.Wait()
	require.Empty(t, prefixes(t, st.get("/services")))
	require.EqualValues(t, 24, st.generation())
}

// A deploy that changes only one option creates a new version with the same module.
func TestDigestCoversOptions(t *testing.T) {
	st := start(t, setup{})
	digests := make(map[string]string)
	for _, query := range []string{"", "&timeout=1s", "&timeout=2s", "&memory=1MiB", "&isolation=fresh", "&config=a%3Db", "&config=a%3Dc", "&allow=https://a.example"} {
		s := st.post("/services/add?prefix=a"+query, "application/wasm", magic+"one").service(t)
		require.Equal(t, string(registry.DigestOf([]byte(magic+"one"))), s.Module)
		require.NotContains(t, digests, s.Digest, "%s", query)
		digests[s.Digest] = query
		require.Equal(t, s.Digest, st.get("/services/inspect?prefix=a").service(t).Digest)
	}
}
