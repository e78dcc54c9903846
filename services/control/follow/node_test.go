package follow_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
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
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/follow"
	"github.com/vespo-dev/vespo/services/egress/peer"
	"github.com/vespo-dev/vespo/services/schema"
)

// textKind serves modules that are the text of their answers. A text that begins with "not here" is served by the primary
// alone.
type textKind struct{ primary bool }

func (*textKind) Describe() schema.Kind { return schema.Kind{Name: "text"} }

func (*textKind) Validate(services.Spec) error { return nil }

func (k *textKind) Prepare(_ context.Context, s services.Spec) (services.Deployment, error) {
	text := string(s.Blob(schema.FieldModule).Content)
	if strings.HasPrefix(text, "not here") && !k.primary {
		return nil, problem.New(problem.ModuleInvalid, "this host lacks something")
	}
	return textDeployment(text), nil
}

type textDeployment string

func (d textDeployment) Serve(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
	_, err := w.Write([]byte(d))
	return err
}

func (textDeployment) Status() services.Status                     { return services.Status{State: services.StateReady} }
func (textDeployment) Scale(context.Context, services.Scale) error { return nil }
func (textDeployment) Close(context.Context) error                 { return nil }

var errFull = errors.New("no space left on device")

// disk fails writes while it is full.
type disk struct {
	registry.Store
	registry.BlobStore
	full atomic.Bool
}

func (d *disk) Commit(ctx context.Context, base, next *registry.State) error {
	if d.full.Load() {
		return errFull
	}
	return d.Store.Commit(ctx, base, next)
}

func (d *disk) Put(ctx context.Context, digest registry.Digest, blob []byte) error {
	if d.full.Load() {
		return errFull
	}
	return d.BlobStore.Put(ctx, digest, blob)
}

// node is a host.
type node struct {
	*deploy.Deployer
	t        testing.TB
	files    *filestore.Store
	disk     *disk
	registry *registry.Registry
	router   *router.Router
	feed     *follow.Feed
	server   *httptest.Server
	asked    atomic.Int32     // requests of its management
	follower *follow.Follower // nil on a primary
	host     *peer.Host
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// openNode opens a host over a directory. It follows the primary at a URL, unless that is empty.
func openNode(t testing.TB, dir, primary string, maxLag time.Duration) *node {
	t.Helper()
	ctx := context.Background()
	files, err := filestore.Open(dir)
	require.NoError(t, err)
	n := &node{t: t, files: files, router: router.New(router.Config{})}
	n.disk = &disk{Store: files, BlobStore: files.Blobs()}
	var blobs registry.BlobStore = n.disk
	if primary != "" {
		n.host, err = peer.NewHost(peer.HostConfig{URL: primary})
		require.NoError(t, err)
		blobs = peer.NewFetcher(peer.Config{
			Hosts:    func() []*peer.Host { return []*peer.Host{n.host} },
			Silence:  time.Second,
			Attempts: 2,
		}).Over(n.disk)
	}
	n.registry, _, err = registry.Open(ctx, n.disk, blobs)
	require.NoError(t, err)
	cfg := deploy.Config{
		Registry: n.registry,
		Router:   n.router,
		Gate:     admission.NewGate(64),
		Limits:   admission.Limits{Concurrency: 32, Queue: 64, Wait: time.Minute},
		Kinds:    []services.Kind{&textKind{primary: primary == ""}},
	}
	if primary != "" {
		cfg.ReadOnly = admin.Followed(primary)
	}
	n.Deployer = deploy.New(cfg)
	require.NoError(t, n.Boot(ctx))
	management := admin.New(admin.Config{})
	management.Attach(n.Deployer)
	n.feed = follow.NewFeed(n.registry, n.Deployer, primary != "")
	management.AttachFeed(n.feed)
	n.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.asked.Add(1)
		management.ServeHTTP(w, r)
	}))
	n.server.Config.BaseContext = func(l net.Listener) context.Context {
		return admin.WithListener(context.Background(), l.Addr())
	}
	n.server.Start()
	if primary != "" {
		n.follower = follow.New(follow.Config{Primary: n.host, Registry: n.registry, Deployer: n.Deployer, MaxLag: maxLag})
		management.AttachFollower(n.follower)
		ctx, n.stop = context.WithCancel(ctx)
		n.running.Go(func() { n.follower.Run(ctx) })
	}
	return n
}

// close stops the host.
func (n *node) close() {
	n.t.Helper()
	n.feed.Stop()
	if n.stop != nil {
		n.stop()
		n.running.Wait()
		n.host.Close()
	}
	n.server.CloseClientConnections()
	n.server.Close()
	require.NoError(n.t, n.Close(context.Background()))
	require.NoError(n.t, n.files.Close())
}

func (n *node) add(prefix, text string) {
	n.t.Helper()
	_, err := n.Add(context.Background(), services.Spec{Key: routekey.MustParse(prefix), Kind: "text", Blobs: services.Module([]byte(text))})
	require.NoError(n.t, err)
}

// get returns the answer of a service.
func (n *node) get(path string) (status int, body string) {
	answer := httptest.NewRecorder()
	n.router.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	return answer.Code, answer.Body.String()
}

// await waits until the node serves the generation of another one.
func (n *node) await(of *node) {
	n.t.Helper()
	require.Eventually(n.t, func() bool {
		return n.follower.Status().Generation == of.registry.State().Generation
	}, time.Minute, time.Millisecond)
}

// requireLike checks that the node serves what another one serves.
func (n *node) requireLike(o *node) {
	n.t.Helper()
	require.Equal(n.t, o.registry.State(), n.registry.State())
	require.Len(n.t, n.List(), len(o.List()))
	for _, e := range o.List() {
		_, want := o.get(e.Service.Key.String())
		mine, err := n.Inspect(e.Service.Key)
		require.NoError(n.t, err)
		require.Equal(n.t, e.Service, mine.Service)
		if len(e.Live) > 1 || strings.HasPrefix(want, "not here") {
			continue
		}
		status, got := n.get(e.Service.Key.String())
		require.Equal(n.t, http.StatusOK, status)
		require.Equal(n.t, want, got)
	}
}
