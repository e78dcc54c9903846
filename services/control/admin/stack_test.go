package admin_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/identity"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/services/servicetest/allkinds"
)

const magic = "\x00asm\x01\x00\x00\x00"

// errDisk is an internal error whose text must not reach a client.
var errDisk = errors.New("open /var/secret: permission denied")

// testKind serves the text that follows the magic number of a "module". Special texts cause failures.
type testKind struct {
	preparing chan struct{} // receives when a module with the text "slow" is being prepared
	release   chan struct{} // lets the preparation continue
}

func (k *testKind) Describe() schema.Kind { return wasm.Description() }

// moduleOf returns the module of a spec.
func moduleOf(s services.Spec) string { return string(s.Blob(schema.FieldModule).Content) }

// documentOf returns the options of a spec. Middleware has those of the service behind it, of any kind.
func documentOf(s services.Spec) (d wasm.Document) {
	_ = json.Unmarshal([]byte(s.Manifest), &d)
	return d
}

func (k *testKind) Validate(s services.Spec) error {
	if !strings.HasPrefix(moduleOf(s), magic) {
		return problem.New(problem.ModuleInvalid, "not a WebAssembly module")
	}
	if documentOf(s).Memory > 1<<30 {
		return problem.New(problem.ModuleInvalid, "more memory than there is")
	}
	return nil
}

func (k *testKind) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	text := strings.TrimPrefix(moduleOf(s), magic)
	switch text {
	case "disk":
		return nil, errDisk
	case "slow":
		select {
		case k.preparing <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		select {
		case <-k.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &testDeployment{text: text, options: documentOf(s)}, nil
}

type testDeployment struct {
	text    string
	options wasm.Document
}

func (d *testDeployment) Serve(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
	_, err := io.WriteString(w, d.text)
	return err
}

func (d *testDeployment) Status() services.Status {
	status := services.Status{ABI: "test", State: services.StateReady, MemoryBytes: 1 << 20, SnapshotBytes: 1 << 16, Warm: 1, Isolation: "snapshot"}
	if d.options.Memory > 0 {
		status.MemoryBytes = d.options.Memory
	}
	if d.options.Isolation != "" {
		status.Isolation = d.options.Isolation
	}
	return status
}

func (d *testDeployment) Scale(context.Context, services.Scale) error { return nil }
func (d *testDeployment) Close(context.Context) error                 { return nil }

// testLayers prepares middleware that puts its module's text in front of the response.
type testLayers struct{ *testKind }

func (k testLayers) ValidateMiddleware(s services.Spec) error { return k.Validate(s) }

func (k testLayers) PrepareMiddleware(_ context.Context, s services.Spec) (services.Middleware, error) {
	return &testLayer{testDeployment{text: strings.TrimPrefix(moduleOf(s), magic) + " "}}, nil
}

type testLayer struct{ testDeployment }

func (d *testLayer) ServeBefore(w http.ResponseWriter, r *router.Request, res *accesslog.Result, next router.Handler) error {
	_, _ = io.WriteString(w, d.text)
	return next.Serve(w, r, res)
}

// stack is a server with the management API and the test kind.
type stack struct {
	*servicetest.Server
	t    *testing.T
	kind *testKind
}

// setup configures a stack.
type setup struct {
	admin     admin.Config
	listener  net.Addr // listener address passed to the handler; nil: the actual one
	server    func(*http.Server)
	detached  bool
	own       bool            // serve management alone, as on an admin listener
	schedules admin.Schedules // nil: none
}

func start(t *testing.T, s setup) *stack {
	t.Helper()
	st := &stack{t: t, kind: &testKind{preparing: make(chan struct{}), release: make(chan struct{})}}
	s.admin.Kinds = allkinds.Describe()
	handler := admin.New(s.admin)
	var auditor deploy.Auditor
	if s.admin.Audit != nil {
		auditor = s.admin.Audit
	}
	st.Server = servicetest.New(t, servicetest.Config{
		Router: router.Config{Admin: handler, AdminOnly: s.own, MayReport: handler.MayReport},
		Deploy: deploy.Config{
			Audit:      auditor,
			Gate:       admission.NewGate(4),
			Limits:     admission.Limits{Queue: 4, Wait: time.Second},
			Middleware: testLayers{st.kind},
		},
		HTTP: func(server *http.Server) {
			server.BaseContext = func(l net.Listener) context.Context {
				if s.own {
					return admin.WithAdminListener(context.Background(), l.Addr())
				}
				return admin.WithListener(context.Background(), cmp.Or(s.listener, l.Addr()))
			}
			if s.server != nil {
				s.server(server)
			}
		},
	})
	st.Build(st.kind, proxy.New(proxy.Config{}), function.New(function.Config{AllowExec: true}))
	if !s.detached {
		handler.Attach(st.Deployer)
	}
	if s.schedules != nil {
		handler.AttachSchedules(s.schedules)
	}
	st.Listen()
	return st
}

func (st *stack) recordOf(requestID string) accesslog.Record {
	return st.Records.First(func(r accesslog.Record) bool { return r.RequestID == requestID })
}

// answer is a received response.
type answer struct {
	status int
	header http.Header
	body   string
}

// service is the part of an answer that the tests check.
type service struct {
	Prefix, Digest, Kind, ABI, Timeout, Isolation, State, Problem string
	Module                                                        string `json:"module_digest"`
	Generation                                                    uint64
	Memory, Size, Snapshot                                        int64
	History                                                       []service
}

func (a answer) service(t *testing.T) service {
	t.Helper()
	require.Equal(t, "application/json", a.header.Get("Content-Type"), a.body)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	var s service
	require.NoError(t, json.Unmarshal([]byte(a.body), &s), a.body)
	return s
}

// problemOf is the problem of an answer.
type problemOf struct {
	Type, Title, Detail string
	Status              int
	Violations, Fields  []string
	RequestID           string `json:"request_id"`
}

func (a answer) problem(t *testing.T, kind problem.Kind) problemOf {
	t.Helper()
	require.Equal(t, problem.ContentType, a.header.Get("Content-Type"), a.body)
	var p problemOf
	require.NoError(t, json.Unmarshal([]byte(a.body), &p), a.body)
	require.Equal(t, kind.Type(), p.Type, a.body)
	require.Equal(t, kind.Status(), a.status)
	require.Equal(t, a.status, p.Status)
	require.NotEmpty(t, p.Detail)
	require.NotEmpty(t, p.RequestID)
	require.Equal(t, a.header.Get(router.RequestIDHeader), p.RequestID)
	return p
}

func (st *stack) request(method, path, contentType string, body io.Reader) *http.Request {
	st.t.Helper()
	r := st.Request(method, path, body)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func (st *stack) do(r *http.Request) answer {
	st.t.Helper()
	a := st.Do(r)
	return answer{status: a.StatusCode, header: a.Header, body: a.Body}
}

func (st *stack) get(path string) answer {
	st.t.Helper()
	return st.do(st.request(http.MethodGet, path, "", nil))
}

func (st *stack) post(path, contentType, body string) answer {
	st.t.Helper()
	return st.do(st.request(http.MethodPost, path, contentType, strings.NewReader(body)))
}

// add adds a module in the raw form.
func (st *stack) add(prefix, text string) answer {
	st.t.Helper()
	return st.post("/services/add?prefix="+prefix, "application/wasm", magic+text)
}

func (st *stack) generation() registry.Generation { return st.Registry.State().Generation }

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, json.NewEncoder(&b).Encode(v))
	return b.String()
}

func kindsOf() schema.Kinds { return allkinds.Describe() }

func mustScopes(t *testing.T, texts ...string) identity.Scopes {
	t.Helper()
	scopes, err := identity.ParseScopes(texts)
	require.NoError(t, err)
	return scopes
}
