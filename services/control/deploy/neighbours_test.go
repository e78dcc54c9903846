package deploy

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services"
)

// retirees records which deployments are retired and closed.
type retirees struct {
	textKind
	told   sync.Mutex
	events []string // guarded by told
}

func (k *retirees) note(event string) {
	k.told.Lock()
	defer k.told.Unlock()
	k.events = append(k.events, event)
}

func (k *retirees) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	d, err := k.textKind.Prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	return &retiree{textDeployment: d.(*textDeployment), kind: k}, nil
}

type retiree struct {
	*textDeployment
	kind *retirees
}

// Retire is called after the route has changed, and before the requests in flight have ended.
func (d *retiree) Retire() { d.kind.note("retire " + d.text) }

func (d *retiree) Close(ctx context.Context) error {
	d.kind.note("close " + d.text)
	return d.textDeployment.Close(ctx)
}

func TestWhoWantsToKnowIsTold(t *testing.T) {
	k := &retirees{textKind: textKind{name: "retirees", hold: make(chan struct{})}}
	h := booted(t, t.TempDir(), func(c *Config) { c.Kinds = append(c.Kinds, k) })
	add := func(text string) error {
		_, err := h.Add(context.Background(), specOf(k.name, routekey.MustParse("/a"), text))
		return err
	}
	require.NoError(t, add("one"))
	onOne := h.pause("/a")
	require.NoError(t, add("two"))
	k.told.Lock()
	require.Equal(t, []string{"retire one"}, k.events, "while a request is in flight")
	k.told.Unlock()
	close(k.hold)
	require.Equal(t, "one", <-onOne)
	h.store.failAt("Commit", errInjected)
	require.Error(t, add("three"))
	h.store.failAt("", nil)
	status, _ := h.get("/a")
	require.Equal(t, http.StatusOK, status)
	h.end()
	require.ElementsMatch(t, []string{"retire one", "close one", "close three", "retire two", "close two"}, k.events)
}

// CheckBeside allows only one deployment whose text begins with "alone".
func (d *retiree) CheckBeside(others []services.Deployment) error {
	for _, other := range others {
		if o, same := other.(*retiree); same && strings.HasPrefix(d.text, "alone") && strings.HasPrefix(o.text, "alone") {
			return problem.New(problem.Conflict, "not beside "+o.text).WithCause(errInjected)
		}
	}
	return nil
}

func TestWhoCannotBeTogether(t *testing.T) {
	k := &retirees{textKind: textKind{name: "retirees", hold: make(chan struct{})}}
	h := booted(t, t.TempDir(), func(c *Config) { c.Kinds = append(c.Kinds, k) })
	of := func(key routekey.Key, text string) services.Spec {
		return specOf(k.name, key, text)
	}
	add := func(key routekey.Key, text string) error {
		_, err := h.Add(context.Background(), of(key, text))
		return err
	}
	require.NoError(t, add(routekey.MustParse("/a"), "alone one"))
	require.NoError(t, add(routekey.MustParse("/b"), "with others"))
	require.NoError(t, add(routekey.MustParse("/a"), "alone two"), "its own version before does not count")
	generation := h.cfg.Registry.State().Generation
	requireKind(t, problem.Conflict, add(routekey.MustParse("/b"), "alone three"))
	h.requireServed("/b", "with others")
	require.Equal(t, generation, h.cfg.Registry.State().Generation)
	require.NoError(t, h.Remove(context.Background(), routekey.MustParse("/a")))
	require.NoError(t, add(routekey.MustParse("/b"), "alone three"))
	_, err := h.Apply(context.Background(), []services.Spec{of(routekey.MustParse("/b"), "alone four"), of(routekey.MustParse("/c"), "alone five")})
	requireKind(t, problem.Conflict, err)
	_, err = h.Apply(context.Background(), []services.Spec{of(routekey.MustParse("/b"), "with others"), of(routekey.MustParse("/c"), "alone five")})
	require.NoError(t, err, "what counts is what is there afterwards")
}
