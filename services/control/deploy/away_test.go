package deploy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/plan"
	hosts "github.com/vespo-dev/vespo/services/placement"
)

// fewHosts are this host with a label, if it has one, and another one with the label "there".
type fewHosts struct {
	label  atomic.Value // string
	passed atomic.Int32
	alone  atomic.Bool   // the other host cannot serve
	ahead  atomic.Uint64 // generation that it has answered by
}

func (f *fewHosts) own() []string { return []string{f.label.Load().(string)} }

func (f *fewHosts) Holds(_ string, p hosts.Placement) bool { return p.Fits(f.own()) }

func (f *fewHosts) Fits(p hosts.Placement) bool { return p.Fits(f.own()) || p.Fits([]string{"there"}) }

func (f *fewHosts) PassOn(_ registry.Service, k Known) Elsewhere {
	return &passing{fewHosts: f, Known: k}
}

type passing struct {
	*fewHosts
	Known
}

func (p *passing) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	if p.alone.Load() {
		return p.Instead.Serve(w, r, res)
	}
	p.passed.Add(1)
	_, err := w.Write([]byte("there"))
	return err
}

func (p *passing) Retire()       {}
func (p *passing) Hosts() string { return "there:1" }

func (p *passing) Ahead() registry.Generation { return registry.Generation(p.ahead.Load()) }

func (h *house) told(path string) string {
	w := httptest.NewRecorder()
	h.router.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Body.String()
}

func on(key routekey.Key, text, label string) services.Spec {
	s := spec(key, text)
	s.Manifest = registry.Manifest(`{"on":["` + label + `"]}`)
	return s
}

// onTrial deploys the next version of a service for half of its requests, and returns the trials that this host judges.
func (h *house) onTrial(key routekey.Key) []Entry {
	h.t.Helper()
	how := How{Rollout: plan.Rollout{Weight: registry.Whole / 2, For: time.Hour}}
	_, err := h.Deploy(h.t.Context(), key, how, func(s registry.Service) (services.Spec, error) {
		next := spec(key, "next")
		next.Manifest = s.Current.Manifest
		return next, nil
	})
	require.NoError(h.t, err)
	return h.Canaries()
}

// TestHoldersThatAreAheadServeOn makes this host a holder while it has an earlier state than the one that another has answered by.
func TestHoldersThatAreAheadServeOn(t *testing.T) {
	all := &fewHosts{}
	all.label.Store("here")
	h := booted(t, t.TempDir(), func(c *Config) { c.Hosts = all })
	a := routekey.MustParse("/a")
	_, err := h.Add(t.Context(), on(a, "own", "there"))
	require.NoError(t, err)
	state := h.cfg.Registry.State()
	require.Equal(t, "there", h.told("/a"))
	all.label.Store("there")
	all.ahead.Store(uint64(state.Generation) + 1)
	_, err = h.Adopt(t.Context(), Adoption{State: state})
	require.NoError(t, err)
	require.Equal(t, "there", h.told("/a"))

	all.ahead.Store(0)
	h.kind.failAt("prepare", func(context.Context) error { // the other one answers meanwhile
		all.ahead.Store(uint64(state.Generation) + 1)
		return nil
	})
	_, err = h.Adopt(t.Context(), Adoption{State: state})
	require.NoError(t, err)
	require.Equal(t, "there", h.told("/a"))
	require.Zero(t, h.kind.openCount())
	h.kind.failAt("prepare", nil)

	all.ahead.Store(uint64(state.Generation))
	_, err = h.Adopt(t.Context(), Adoption{State: state})
	require.NoError(t, err)
	require.Equal(t, "own", h.told("/a"))
}

// TestServicesOfOtherHosts deploys for labels of this host and of another one, and moves services by adoptions.
func TestServicesOfOtherHosts(t *testing.T) {
	all := &fewHosts{}
	all.label.Store("here")
	dir := t.TempDir()
	h := booted(t, dir, func(c *Config) { c.Hosts = all })
	a, b := routekey.MustParse("/a"), routekey.MustParse("/b")
	_, err := h.Add(t.Context(), on(a, "text", "nowhere"))
	require.ErrorContains(t, err, "no host that is up has these labels")
	_, err = h.Add(t.Context(), on(a, "here", "here"))
	require.NoError(t, err)
	result, err := h.Add(t.Context(), on(b, "unused", "there"))
	require.NoError(t, err)
	require.Equal(t, services.StateElsewhere, result.Status.State)
	require.Equal(t, 1, h.kind.openCount(), "it was prepared, and closed")
	require.Equal(t, "here", h.told("/a"))
	require.Equal(t, "there", h.told("/b"))
	require.True(t, h.Away(b))
	require.False(t, h.Away(a))
	h.kind.failAt("prepare", func(context.Context) error { return problem.New(problem.ModuleInvalid, "bad") })
	_, err = h.Add(t.Context(), on(b, "bad", "there"))
	require.ErrorContains(t, err, "bad")
	h.kind.failAt("prepare", nil)

	state := h.cfg.Registry.State()
	require.True(t, h.Holds(a, definitionOf(state.Services[a]), state.Generation+9))
	require.True(t, h.Holds(a, "another", state.Services[a].Current.Generation), "it is as far")
	require.False(t, h.Holds(a, "another", state.Generation+1), "it is behind")
	require.False(t, h.Holds(b, definitionOf(state.Services[b]), 0))
	require.False(t, h.Holds(routekey.MustParse("/c"), "", 0))

	all.label.Store("there")
	_, err = h.Adopt(t.Context(), Adoption{State: state})
	require.NoError(t, err)
	require.Equal(t, "there", h.told("/a"))
	require.Equal(t, "unused", h.told("/b"))
	require.Eventually(t, func() bool { return h.kind.openCount() == 1 }, 10*time.Second, time.Millisecond)
	require.True(t, h.Holds(b, "another", state.Generation))
	_, err = h.Rollback(t.Context(), a)
	require.Error(t, err, "it has no version before")

	h.end()
	all.label.Store("here")
	again := booted(t, dir, func(c *Config) { c.Hosts = all })
	require.Equal(t, "here", again.told("/a"))
	require.Equal(t, "there", again.told("/b"))
	require.Equal(t, 1, again.kind.openCount())
	i := slices.IndexFunc(again.List(), func(e Entry) bool { return e.Service.Key == b })
	require.Equal(t, "there:1", again.List()[i].Status.Target)
}

// TestTrialsAreJudgedByTheirHosts puts versions of a service on trial that this host serves, and one of another host.
func TestTrialsAreJudgedByTheirHosts(t *testing.T) {
	all := &fewHosts{}
	all.label.Store("here")
	h := booted(t, t.TempDir(), func(c *Config) { c.Hosts = all })
	a, b := routekey.MustParse("/a"), routekey.MustParse("/b")
	for key, label := range map[routekey.Key]string{a: "here", b: "there"} {
		_, err := h.Add(t.Context(), on(key, "text", label))
		require.NoError(t, err)
	}
	first := h.placementAt(b).all[0].deployment.(away).to.(*passing)
	require.Nil(t, first.Before)
	require.Empty(t, h.onTrial(b), "without a request here it would be rolled back")
	second := h.placementAt(b).all[0].deployment.(away).to.(*passing)
	require.Same(t, first, second.Before, "its hosts serve the version before at first")
	require.True(t, second.Own)
	require.Greater(t, second.Generation, first.Generation)
	require.NotEqual(t, first.Definition, second.Definition)
	trials := h.onTrial(a)
	require.Len(t, trials, 1)
	require.Equal(t, a, trials[0].Service.Key)
}

// TestMovesAreNotPrepared changes the placement of a service of another host: this one need not prepare the version again.
func TestMovesAreNotPrepared(t *testing.T) {
	all := &fewHosts{}
	all.label.Store("here")
	h := booted(t, t.TempDir(), func(c *Config) { c.Hosts = all })
	a := routekey.MustParse("/a")
	_, err := h.Add(t.Context(), on(a, "text", "there"))
	require.NoError(t, err)
	h.kind.failAt("prepare", func(context.Context) error { return errInjected })
	moved := on(a, "text", "there")
	moved.Manifest = `{"on":["there"],"replicas":2}`
	result, err := h.Add(t.Context(), moved)
	require.NoError(t, err)
	require.Equal(t, services.StateElsewhere, result.Status.State)
	require.Equal(t, "there", h.told("/a"))
	_, err = h.Add(t.Context(), on(a, "other", "there"))
	require.ErrorIs(t, err, errInjected)
	changed := on(a, "text", "there")
	changed.Manifest = `{"on":["there"],"timeout":"1s"}`
	_, err = h.Add(t.Context(), changed)
	require.ErrorIs(t, err, errInjected)
	_, err = h.Add(t.Context(), on(a, "text", "here"))
	require.ErrorIs(t, err, errInjected, "it comes here")
	h.kind.failAt("prepare", nil)
	_, err = h.Add(t.Context(), on(a, "text", "here"))
	require.NoError(t, err)
	require.Equal(t, "text", h.told("/a"))
}

func TestPlacementNeedsHosts(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	_, err := h.Add(t.Context(), on(routekey.MustParse("/a"), "text", "here"))
	require.ErrorContains(t, err, "needs a catalogue that several hosts share")
	s := spec(routekey.MustParse("/a"), "text")
	s.Manifest = `{"replicas":2}`
	_, err = h.Add(t.Context(), s)
	require.ErrorContains(t, err, "replicas needs a catalogue")
}
