package travel

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// moduleOf returns a guest of the engine's tests.
func moduleOf(t *testing.T, name string) []byte {
	t.Helper()
	bin, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "..", "runtime", "engine", "testdata", name+".wasm"))
	require.NoError(t, err)
	return bin
}

var (
	_ http.Handler = (*Exchange)(nil)
	_ Engine       = (*engine.Engine)(nil)
)

// other is a host whose answers change can alter on their way.
type other struct {
	*httptest.Server
	engine   *engine.Engine
	exchange *Exchange
	announce Host

	mu     sync.Mutex
	change func(query map[string][]string, h http.Header, body []byte) []byte // guarded by mu
	asked  int                                                                // guarded by mu
	halts  string                                                             // guarded by mu: kind of questions whose answers halt in the middle
}

// haltTime is how long an answer halts if its client stays.
const haltTime = 10 * time.Second

func (o *other) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.asked++
	change, halts := o.change, r.URL.Query().Has(o.halts)
	o.mu.Unlock()
	if change == nil && !halts {
		o.exchange.ServeHTTP(w, r)
		return
	}
	rec := httptest.NewRecorder()
	o.exchange.ServeHTTP(rec, r)
	body := rec.Body.Bytes()
	if change != nil {
		body = change(r.URL.Query(), rec.Header(), body)
	}
	rec.Header().Del("Content-Length")
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	if halts {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		body = body[len(body)/2:]
		select {
		case <-r.Context().Done():
		case <-time.After(haltTime):
		}
	}
	_, _ = w.Write(body)
}

func (o *other) requests() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

func openEngine(t *testing.T, build string, from engine.Elsewhere) *engine.Engine {
	t.Helper()
	e, err := engine.Open(t.Context(), engine.Config{
		Slots:         1,
		CacheDir:      t.TempDir(),
		Build:         build,
		KeepSnapshots: true,
		Elsewhere:     from,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close(context.Background())) })
	return e
}

// serve compiles and prepares a guest, and reports whether it was compiled and whether it was initialised.
func serve(t *testing.T, e *engine.Engine, name string) (compiled, initialised bool) {
	t.Helper()
	before := e.Stats()
	d, err := e.Decode(moduleOf(t, name))
	require.NoError(t, err)
	o := engine.ModuleOptions{Inputs: [32]byte{1}}
	m, err := e.Compile(t.Context(), d, o)
	require.NoError(t, err)
	slot, ok := e.AcquireSlot()
	require.True(t, ok)
	in, err := m.Prepare(t.Context(), slot)
	require.NoError(t, err)
	require.NoError(t, in.Close())
	require.NoError(t, m.Close(t.Context()))
	after := e.Stats()
	return after.Code.Misses > before.Code.Misses, after.Recalled == before.Recalled
}

// newOther returns a host that has compiled and prepared guests.
func newOther(t *testing.T, build string, names ...string) *other {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	o := &other{engine: openEngine(t, build, nil)}
	for _, name := range names {
		serve(t, o.engine, name)
	}
	o.exchange = New(Config{Hosts: func() []Host { return nil }, Key: private, Log: slog.New(slog.DiscardHandler)})
	likeness, err := o.exchange.Attach(o.engine)
	require.NoError(t, err)
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	h, err := peer.NewHost(peer.HostConfig{URL: o.URL})
	require.NoError(t, err)
	t.Cleanup(h.Close)
	o.announce = Host{Host: h, Key: public, Likeness: likeness}
	return o
}

// fresh is a host without code.
type fresh struct {
	*Exchange
	engine *engine.Engine
	log    *bytes.Buffer
}

func newFresh(t *testing.T, others ...*other) *fresh {
	return newHasty(t, time.Minute, time.Minute, others...)
}

// newHasty is newFresh with a time for the header of an answer, and one in which its rate is measured.
func newHasty(t *testing.T, header, window time.Duration, others ...*other) *fresh {
	t.Helper()
	f := &fresh{log: new(bytes.Buffer)}
	f.Exchange = New(Config{
		Hosts: func() (all []Host) {
			for _, o := range others {
				all = append(all, o.announce)
			}
			return all
		},
		HeaderTime: header,
		Window:     window,
		Log:        slog.New(slog.NewTextHandler(f.log, nil)),
	})
	f.engine = openEngine(t, "one", f.Exchange)
	_, err := f.Attach(f.engine)
	require.NoError(t, err)
	return f
}
