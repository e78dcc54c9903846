package deploy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

var errInjected = errors.New("injected")

// textKind is a kind whose modules are the texts that they answer with. Requests for "?wait" are answered
// when hold is closed, or stopped by Close.
type textKind struct {
	name string
	hold chan struct{}

	mu       sync.Mutex
	fail     map[string]func(ctx context.Context) error // by step: validate, prepare, scale, close; guarded by mu
	open     int                                        // deployments prepared and not closed; guarded by mu
	specs    []services.Spec                            // prepared; guarded by mu
	scaled   []services.Scale                           // guarded by mu
	nothings bool                                       // Prepare returns nil and no error; guarded by mu
}

func (k *textKind) Describe() schema.Kind { return schema.Kind{Name: k.name} }

// moduleOf returns the module of a spec.
func moduleOf(s services.Spec) []byte { return s.Blob(schema.FieldModule).Content }

func (k *textKind) failAt(step string, f func(ctx context.Context) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = map[string]func(context.Context) error{step: f}
}

func (k *textKind) failure(ctx context.Context, step string) error {
	k.mu.Lock()
	f := k.fail[step]
	k.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(ctx)
}

func (k *textKind) openCount() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.open
}

func (k *textKind) Validate(s services.Spec) error {
	if strings.HasPrefix(string(moduleOf(s)), "bad") {
		p := problem.New(problem.ModuleInvalid, "the module is bad")
		p.Violations = []problem.Violation{{Text: "bad in one way"}, {Field: "module", Text: "bad in another"}}
		return p
	}
	return k.failure(context.Background(), "validate")
}

func (k *textKind) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	if err := k.failure(ctx, "prepare"); err != nil {
		return nil, err
	}
	if strings.HasPrefix(string(moduleOf(s)), "unpreparable") {
		return nil, problem.New(problem.ModuleInvalid, "the module cannot be prepared").WithCause(errInjected)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.nothings {
		return nil, nil
	}
	k.open++
	k.specs = append(k.specs, s)
	return &textDeployment{kind: k, text: string(moduleOf(s)), stop: make(chan struct{}), warm: 1, state: services.StateReady}, nil
}

type textDeployment struct {
	kind *textKind
	text string
	stop chan struct{}

	mu     sync.Mutex
	warm   int
	state  string
	closed bool
}

func (d *textDeployment) Serve(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
	d.mu.Lock()
	d.warm, d.state = 1, services.StateReady
	closed := d.closed
	d.mu.Unlock()
	if closed {
		return errors.New("request on a closed deployment")
	}
	if r.URL.RawQuery == "wait" {
		select {
		case <-d.kind.hold:
		case <-d.stop:
			return problem.New(problem.NotReady, "stopped")
		}
	}
	_, err := w.Write([]byte(d.text))
	return err
}

func (d *textDeployment) Status() services.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return services.Status{ABI: "text", State: d.state, Warm: d.warm}
}

func (d *textDeployment) Scale(ctx context.Context, to services.Scale) error {
	if err := d.kind.failure(ctx, "scale"); err != nil {
		return err
	}
	d.mu.Lock()
	d.warm, d.state = 0, services.StateIdle
	if to == services.EvictCode {
		d.state = services.StateEvicted
	}
	d.mu.Unlock()
	d.kind.mu.Lock()
	defer d.kind.mu.Unlock()
	d.kind.scaled = append(d.kind.scaled, to)
	return nil
}

func (d *textDeployment) Close(ctx context.Context) error {
	d.mu.Lock()
	if d.closed {
		panic("closed twice")
	}
	d.closed = true
	close(d.stop)
	d.mu.Unlock()
	d.kind.mu.Lock()
	d.kind.open--
	d.kind.mu.Unlock()
	return d.kind.failure(ctx, "close")
}

// faultyStore is a store of catalogue and blobs that fails the methods listed in fail.
type faultyStore struct {
	registry.Store
	blobs registry.BlobStore

	mu   sync.Mutex
	fail map[string]error // by method; guarded by mu
	list func()           // called by List; guarded by mu
}

func (s *faultyStore) onList(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = f
}

func (s *faultyStore) failAt(method string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = map[string]error{method: err}
}

func (s *faultyStore) failure(method string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail[method]
}

func (s *faultyStore) Commit(ctx context.Context, base, next *registry.State) error {
	if err := s.failure("Commit"); err != nil {
		return err
	}
	return s.Store.Commit(ctx, base, next)
}

// faultyBlobs are the blobs of a faultyStore.
type faultyBlobs struct {
	registry.BlobStore
	store *faultyStore
}

func (b faultyBlobs) Put(ctx context.Context, d registry.Digest, blob []byte) error {
	if err := b.store.failure("Put"); err != nil {
		return err
	}
	return b.BlobStore.Put(ctx, d, blob)
}

func (b faultyBlobs) Get(ctx context.Context, d registry.Digest) ([]byte, error) {
	if err := b.store.failure("Get"); err != nil {
		return nil, err
	}
	return b.BlobStore.Get(ctx, d)
}

func (b faultyBlobs) List(ctx context.Context) ([]registry.Digest, error) {
	b.store.mu.Lock()
	f := b.store.list
	b.store.mu.Unlock()
	if f != nil {
		f()
	}
	return b.BlobStore.List(ctx)
}

// house is a Deployer with all its dependencies, over a directory.
type house struct {
	*Deployer
	t      *testing.T
	dir    string
	files  *filestore.Store
	store  *faultyStore
	kind   *textKind
	router *router.Router
	closed bool
}

// unbooted builds a house over dir. At the end it checks that nothing is left open.
func unbooted(t *testing.T, dir string, change func(*Config)) *house {
	t.Helper()
	files, err := filestore.Open(dir)
	require.NoError(t, err)
	h := &house{
		t:      t,
		dir:    dir,
		files:  files,
		store:  &faultyStore{Store: files, blobs: files.Blobs()},
		kind:   &textKind{name: "text", hold: make(chan struct{})},
		router: router.New(router.Config{}),
	}
	reg, problems, err := registry.Open(context.Background(), h.store, faultyBlobs{h.store.blobs, h.store})
	require.NoError(t, err)
	require.Empty(t, problems)
	cfg := Config{
		Registry: reg,
		Router:   h.router,
		Gate:     admission.NewGate(64),
		Limits:   admission.Limits{Concurrency: 32, Queue: 64, Wait: time.Minute},
		Kinds:    []services.Kind{h.kind},
	}
	if change != nil {
		change(&cfg)
	}
	h.Deployer = New(cfg)
	t.Cleanup(h.end)
	return h
}

// booted calls unbooted and Boot.
func booted(t *testing.T, dir string, change func(*Config)) *house {
	t.Helper()
	h := unbooted(t, dir, change)
	require.NoError(t, h.Boot(context.Background()))
	require.Equal(t, !h.cfg.FileRules, h.Ready(), "with a file, not before it is applied")
	return h
}

// end closes the house, once.
func (h *house) end() {
	if h.closed {
		return
	}
	h.closed = true
	require.NoError(h.t, h.Close(context.Background()))
	require.False(h.t, h.Ready())
	require.Zero(h.t, h.kind.openCount(), "deployments are left open")
	require.Empty(h.t, h.limiters, "limiters are left over")
	require.Empty(h.t, h.rates, "limits of rates are left over")
	require.NoError(h.t, h.files.Close())
}

// spec returns the spec of a text.
func spec(key routekey.Key, text string) services.Spec { return specOf("text", key, text) }

// specOf returns the spec of a module of any kind.
func specOf(kind string, key routekey.Key, module string) services.Spec {
	return services.Spec{Key: key, Kind: kind, Blobs: services.Module([]byte(module))}
}

// chained returns the spec of a text at /a behind middleware.
func chained(text string, use ...string) services.Spec {
	s := spec(routekey.MustParse("/a"), text)
	for _, u := range use {
		s.Blobs = append(s.Blobs, services.Blob{Field: schema.FieldUse, Content: []byte(u)})
	}
	return s
}

// add deploys text at prefix, which must succeed.
func (h *house) add(key routekey.Key, text string) Result {
	h.t.Helper()
	result, err := h.Add(context.Background(), spec(key, text))
	require.NoError(h.t, err)
	return result
}

// get returns status and body of the response to a request.
func (h *house) get(path string) (status int, body string) {
	answer := httptest.NewRecorder()
	h.router.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer.Code, answer.Body.String()
}

func (h *house) requireServed(path, want string) {
	h.t.Helper()
	status, body := h.get(path)
	require.Equal(h.t, http.StatusOK, status, body)
	require.Equal(h.t, want, body)
}

// onDisk returns the bytes of the manifest, or nil without one.
func (h *house) onDisk() []byte {
	data, err := os.ReadFile(filepath.Join(h.dir, "manifest.json"))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(h.t, err)
	}
	return data
}

// pause starts a request that waits, and returns a channel with the body of its response.
func (h *house) pause(path string) (answered <-chan string) {
	h.t.Helper()
	before := h.inFlight()
	answer := make(chan string, 1)
	go func() {
		_, body := h.get(path + "?wait")
		answer <- body
	}()
	require.Eventually(h.t, func() bool { return h.inFlight() == before+1 }, time.Minute, time.Millisecond)
	return answer
}

func (h *house) inFlight() int { return h.cfg.Gate.Stats().InFlight }

func requireKind(t *testing.T, want problem.Kind, err error) *problem.Problem {
	t.Helper()
	var p *problem.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, want, p.Kind(), "%v", err)
	return p
}

// names returns the digests of the blobs on disk.
func (h *house) names() []registry.Digest {
	digests, err := h.store.blobs.List(context.Background())
	require.NoError(h.t, err)
	return digests
}
