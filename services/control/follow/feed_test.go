package follow_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/follow"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// reply is an answer of a feed.
type reply struct {
	*http.Response
	body []byte
}

func (n *node) ask(query string, header ...string) reply {
	n.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, n.server.URL+follow.Path+query, http.NoBody)
	require.NoError(n.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	resp, err := client.Do(r)
	require.NoError(n.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(n.t, err)
	return reply{Response: resp, body: body}
}

func TestFeed(t *testing.T) {
	p := openNode(t, t.TempDir(), "", 0)
	defer p.close()
	p.add("/a", "one")
	for i := range 30 {
		p.add("/more"+string(rune('a'+i%26)), "text")
	}
	whole := p.ask("")
	require.Equal(t, http.StatusOK, whole.StatusCode)
	base, err := filestore.Decode(whole.body, nil)
	require.NoError(t, err)
	require.Equal(t, p.registry.State(), base)
	id, run := whole.Header.Get("Vespo-Catalogue"), whole.Header.Get("Vespo-Run")
	require.Equal(t, follow.IdentityOf(base), id)
	require.Equal(t, "32", whole.Header.Get("Vespo-Generation"), "the first request makes the identity")

	packed := p.ask("", "Accept-Encoding", "br, gzip")
	require.Equal(t, "gzip", packed.Header.Get("Content-Encoding"))
	require.Less(t, len(packed.body), len(whole.body)/3)
	z, err := gzip.NewReader(bytes.NewReader(packed.body))
	require.NoError(t, err)
	unpacked, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Equal(t, whole.body, unpacked)

	at := "?id=" + id + "&run=" + run + "&after=32"
	require.Equal(t, http.StatusNotModified, p.ask(at).StatusCode)
	require.Equal(t, http.StatusNotModified, p.ask("", "If-None-Match", whole.Header.Get("ETag")).StatusCode)
	require.Equal(t, http.StatusOK, p.ask("?id="+id+"&run=other&after=32").StatusCode, "another run has to be compared")

	waiting := make(chan reply)
	go func() { waiting <- p.ask(at + "&wait=1m") }()
	require.Eventually(t, func() bool { return p.feed.Stats().Waiting == 1 }, time.Minute, time.Millisecond)
	p.add("/a", "two")
	changed := <-waiting
	require.Equal(t, http.StatusOK, changed.StatusCode)
	require.Less(t, len(changed.body), len(whole.body)/3)
	next, err := filestore.Decode(changed.body, base)
	require.NoError(t, err)
	require.Equal(t, p.registry.State(), next)
	require.EqualValues(t, 1, p.feed.Stats().Changes)
	require.Equal(t, http.StatusOK, p.ask("?run="+run+"&after=7").StatusCode)
	_, err = filestore.Decode(p.ask("?run="+run+"&after=7").body, nil)
	require.NoError(t, err, "a state that was not sent is answered with the whole")

	for _, refused := range []struct {
		query  string
		status int
		text   string
	}{
		{"?id=other", http.StatusConflict, "this host has the catalogue " + id},
		{"?id=" + id + "&after=99", http.StatusConflict, "older than 99"},
		{"?after=x", http.StatusBadRequest, "give a generation"},
		{"?wait=2m", http.StatusBadRequest, "at most 1m0s"},
		{"?wait=-1s", http.StatusBadRequest, "at most 1m0s"},
		{"?more=1", http.StatusBadRequest, "more"},
	} {
		got := p.ask(refused.query)
		require.Equal(t, refused.status, got.StatusCode, refused.query)
		require.Contains(t, string(got.body), refused.text)
	}

	go func() { waiting <- p.ask("?run=" + run + "&after=33&wait=1m") }()
	require.Eventually(t, func() bool { return p.feed.Stats().Waiting == 1 }, time.Minute, time.Millisecond)
	p.feed.Stop()
	require.Equal(t, http.StatusNotModified, (<-waiting).StatusCode, "a server that stops lets its followers go")
}

// TestChain follows a follower.
func TestChain(t *testing.T) {
	p := openNode(t, t.TempDir(), "", 0)
	defer p.close()
	f := openNode(t, t.TempDir(), p.server.URL, 0)
	defer f.close()
	g := openNode(t, t.TempDir(), f.server.URL, 0)
	defer g.close()
	p.add("/a", "one")
	p.add("/b", "not here")
	f.await(p)
	g.await(p)
	g.requireLike(p)
	require.NoError(t, p.Remove(t.Context(), routekey.MustParse("/a")))
	g.await(p)
	g.requireLike(p)
	_, err := g.Transact(t.Context(), nil, nil)
	require.ErrorContains(t, err, f.server.URL)
	require.Equal(t, 1, g.follower.Status().Unavailable)
}

// TestReadiness asks a follower whether it is ready before its first copy, with it, and without its primary.
func TestReadiness(t *testing.T) {
	net := newNetwork(t, 1)
	defer net.close()
	p := openNode(t, t.TempDir(), "", 0)
	defer p.close()
	p.add("/a", "one")
	dirs := [2]string{t.TempDir(), t.TempDir()}
	strict, lax := openNode(t, dirs[0], net.url(), 300*time.Millisecond), openNode(t, dirs[1], net.url(), 0)
	require.ErrorContains(t, strict.follower.Ready(), "no copy of the catalogue yet")
	require.ErrorContains(t, lax.follower.Ready(), "no copy of the catalogue yet")
	net.target.Store(p.server.Listener.Addr().String())
	strict.await(p)
	lax.await(p)
	ready := func(n *node) func() bool { return func() bool { return n.follower.Ready() == nil } }
	require.Eventually(t, ready(strict), time.Minute, time.Millisecond)
	require.Eventually(t, ready(lax), time.Minute, time.Millisecond)
	net.target.Store("")
	net.cut()
	require.Eventually(t, func() bool { return strict.follower.Ready() != nil }, time.Minute, time.Millisecond)
	require.ErrorContains(t, strict.follower.Ready(), "--max-lag is 300ms")
	require.NoError(t, lax.follower.Ready())
	status := strict.follower.Status()
	require.Equal(t, follow.Lost, status.State)
	require.NotEmpty(t, status.Problem)
	require.False(t, status.LastContact.IsZero())
	strict.requireLike(p)

	strict.close()
	lax.close()
	strict, lax = openNode(t, dirs[0], net.url(), 300*time.Millisecond), openNode(t, dirs[1], net.url(), 0)
	defer strict.close()
	defer lax.close()
	require.ErrorContains(t, strict.follower.Ready(), "has not reached its primary since its start")
	require.NoError(t, lax.follower.Ready())
	lax.requireLike(p)
}

// TestRestoredPrimary follows a primary whose directory is replaced by an earlier one, or by another catalogue.
func TestRestoredPrimary(t *testing.T) {
	for name, restore := range map[string]func(p *node){
		"older":               func(*node) {},
		"changed since":       func(p *node) { p.add("/a", "other"); p.add("/b", "other") },
		"the same generation": func(p *node) { require.NoError(p.t, p.Remove(p.t.Context(), routekey.MustParse("/a"))) },
	} {
		t.Run(name, func(t *testing.T) {
			net := newNetwork(t, 1)
			defer net.close()
			p := openNode(t, t.TempDir(), "", 0)
			net.target.Store(p.server.Listener.Addr().String())
			p.add("/a", "one")
			dir := t.TempDir()
			f := openNode(t, dir, net.url(), 0)
			f.await(p)
			backup := p.registry.State()
			p.add("/a", "two")
			f.await(p)
			f.close()
			p.close()

			restored := t.TempDir()
			old := openNode(t, restored, "", 0)
			require.NoError(t, old.registry.Adopt(t.Context(), backup))
			old.close()
			p = openNode(t, restored, "", 0)
			defer p.close()
			restore(p)
			net.target.Store(p.server.Listener.Addr().String())
			f = openNode(t, dir, net.url(), 0)
			defer f.close()
			require.Eventually(t, func() bool { return f.follower.Status().State == follow.Stopped }, time.Minute, time.Millisecond)
			require.Contains(t, f.follower.Status().Problem, "--follow-anew")
			_, text := f.get("/a")
			require.Equal(t, "two", text, "it serves its copy")
		})
	}
}

// TestIdentities checks that a catalogue keeps its identity, and that a new one is another one.
func TestIdentities(t *testing.T) {
	s := &registry.State{}
	require.Empty(t, follow.IdentityOf(s))
	one, err := follow.WithIdentity(s)
	require.NoError(t, err)
	two, err := follow.WithIdentity(one)
	require.NoError(t, err)
	require.NotEqual(t, follow.IdentityOf(one), follow.IdentityOf(two))
	require.Equal(t, registry.Generation(2), two.Generation)
}

// TestReadyIsServed checks that a follower is not ready between the commit and the publication of its first copy.
func TestReadyIsServed(t *testing.T) {
	p := openNode(t, t.TempDir(), "", 0)
	defer p.close()
	p.add("/a", "one")
	f := openNode(t, t.TempDir(), "http://127.0.0.1:1", 0)
	defer f.close()
	host, err := peer.NewHost(peer.HostConfig{URL: p.server.URL})
	require.NoError(t, err)
	defer host.Close()
	slow := &slowDeployer{Deployer: f.Deployer, registry: f.registry, committed: make(chan struct{}), publish: make(chan struct{})}
	follower := follow.New(follow.Config{Primary: host, Registry: f.registry, Deployer: slow})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		follower.Run(ctx)
	}()
	<-slow.committed
	require.NotZero(t, f.registry.State().Generation)
	require.ErrorContains(t, follower.Ready(), "no copy")
	require.Zero(t, follower.Status().Generation)
	close(slow.publish)
	require.Eventually(t, func() bool { return follower.Ready() == nil }, time.Minute, time.Millisecond)
	require.Equal(t, f.registry.State().Generation, follower.Status().Generation)
	stop()
	<-ended
}

// slowDeployer waits between the commit of its first state and the publication.
type slowDeployer struct {
	*deploy.Deployer
	registry           *registry.Registry
	committed, publish chan struct{}
	once               sync.Once
}

func (s *slowDeployer) Adopt(ctx context.Context, a deploy.Adoption) (deploy.Adopted, error) {
	s.once.Do(func() {
		if err := s.registry.Adopt(ctx, a.State); err != nil {
			panic(err)
		}
		close(s.committed)
		<-s.publish
	})
	return deploy.Adopted{State: a.State}, nil
}

// TestStoppingPrimaryIsNotPressed follows a primary that answers at once while it stops.
func TestStoppingPrimaryIsNotPressed(t *testing.T) {
	p := openNode(t, t.TempDir(), "", 0)
	defer p.close()
	p.add("/a", "one")
	f := openNode(t, t.TempDir(), p.server.URL, 0)
	defer f.close()
	f.await(p)
	p.feed.Stop()
	before := p.asked.Load()
	p.add("/b", "two")
	f.await(p)
	p.add("/c", "three")
	f.await(p)
	require.Less(t, p.asked.Load()-before, int32(20), "it asks about once a second")
}

// TestFeedSendsWhatIsStored asks for a state that is stored, and not yet the registry's.
func TestFeedSendsWhatIsStored(t *testing.T) {
	p := openNode(t, t.TempDir(), "", 0)
	defer p.close()
	p.add("/a", "one")
	p.ask("")
	before := p.registry.State()
	next := before.PutRecord("test/a", registry.Record{Kind: "test", Manifest: "{}"})
	require.NoError(t, p.files.Commit(t.Context(), before, next))
	got := p.ask("?after=" + strconv.FormatUint(uint64(next.Generation), 10))
	require.Equal(t, http.StatusOK, got.StatusCode, "%s", got.body)
	require.Equal(t, strconv.FormatUint(uint64(next.Generation), 10), got.Header.Get("Vespo-Generation"))
}
