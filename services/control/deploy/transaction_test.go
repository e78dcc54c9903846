package deploy

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// meddler is a kind whose deployments call meddle between the last plan of a transaction and its commit.
type meddler struct {
	*textKind
	meddle   func()
	prepared atomic.Int32
}

type meddled struct {
	*textDeployment
	meddle func()
}

func (m *meddler) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	m.prepared.Add(1)
	d, err := m.textKind.Prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	return meddled{d.(*textDeployment), func() { m.meddle() }}, nil
}

func (d meddled) CheckBeside([]services.Deployment) error {
	d.meddle()
	return nil
}

// meddledWith returns a house whose store is shared with another server. write commits a version of the other
// server.
func meddledWith(t *testing.T) (h *house, m *meddler, write func(key routekey.Key, text string)) {
	t.Helper()
	m = &meddler{meddle: func() {}}
	h = booted(t, t.TempDir(), func(c *Config) {
		m.textKind = c.Kinds[0].(*textKind)
		c.Kinds[0] = m
	})
	write = func(key routekey.Key, text string) {
		digest := registry.DigestOf([]byte(text))
		require.NoError(t, h.store.blobs.Put(t.Context(), digest, []byte(text)))
		for base := range h.store.Watch(t.Context()) {
			next, _ := base.Put(key, registry.Version{Kind: "text", Blobs: []registry.Blob{{Field: "module", Digest: digest, SizeBytes: int64(len(text))}}})
			require.NoError(t, h.store.Store.Commit(t.Context(), base, next))
			return
		}
	}
	return h, m, write
}

// Another writer of the catalogue changes another service between plan and commit: both changes last.
func TestAnotherWriterIsNotOverwritten(t *testing.T) {
	h, m, write := meddledWith(t)
	times := 3
	m.meddle = func() {
		if times--; times >= 0 {
			write(routekey.MustParse("/other"), string(rune('a'+times)))
		}
	}
	result := h.add(routekey.MustParse("/a"), "one")
	require.EqualValues(t, 4, result.Service.Current.Generation)
	h.requireServed("/a", "one")
	require.EqualValues(t, 1, m.prepared.Load(), "the deployment is kept")
	state := h.cfg.Registry.State()
	require.Equal(t, registry.DigestOf([]byte("a")), state.Services[routekey.MustParse("/other")].Current.Blobs[0].Digest)
	require.Equal(t, result.Service, state.Services[routekey.MustParse("/a")])
	require.NoError(t, state.Check())
}

// Another writer changes the same service: Change builds its version again, on the other one.
func TestChangeIsBuiltOnTheVersionThatItReplaces(t *testing.T) {
	h, m, write := meddledWith(t)
	h.add(routekey.MustParse("/a"), "one")
	meddle := func() { write(routekey.MustParse("/a"), "two") }
	m.meddle = func() {
		meddle()
		meddle = func() {}
	}
	result, err := h.Change(t.Context(), routekey.MustParse("/a"), func(current registry.Service) (services.Spec, error) {
		before, err := h.Blob(t.Context(), current.Current.Blobs[0].Digest)
		return spec(routekey.MustParse("/a"), string(before)+" and more"), err
	})
	require.NoError(t, err)
	require.Equal(t, registry.DigestOf([]byte("two")), result.Before.Blobs[0].Digest)
	h.requireServed("/a", "two and more")
	h.retiring.Wait()
	require.Equal(t, 1, h.kind.openCount(), "the version that was built on the other one is closed")

	// A rollback goes back to the version that is the previous one when it is committed.
	meddle = func() { write(routekey.MustParse("/a"), "three") }
	_, err = h.Rollback(t.Context(), routekey.MustParse("/a"))
	require.NoError(t, err)
	h.requireServed("/a", "two and more")
}

// The same, while the new version is prepared.
func TestChangeIsBuiltAgainIfItsServiceChangesMeanwhile(t *testing.T) {
	h, m, write := meddledWith(t)
	h.add(routekey.MustParse("/a"), "one")
	meddle := func() { write(routekey.MustParse("/a"), "two") }
	h.kind.failAt("prepare", func(context.Context) error {
		meddle()
		meddle = func() {}
		return nil
	})
	_, err := h.Change(t.Context(), routekey.MustParse("/a"), func(current registry.Service) (services.Spec, error) {
		before, err := h.Blob(t.Context(), current.Current.Blobs[0].Digest)
		return spec(routekey.MustParse("/a"), string(before)+" and more"), err
	})
	require.NoError(t, err)
	h.requireServed("/a", "two and more")
	require.EqualValues(t, 3, m.prepared.Load())
}

// A transaction that other writers keep from its commit ends.
func TestPlansAreBounded(t *testing.T) {
	h, m, write := meddledWith(t)
	h.add(routekey.MustParse("/a"), "one")
	var plans int
	m.meddle = func() {
		plans++
		write(routekey.MustParse("/other"), string(rune('a'+plans)))
	}
	_, err := h.Add(t.Context(), spec(routekey.MustParse("/a"), "two"))
	require.ErrorIs(t, err, registry.ErrStale)
	requireKind(t, problem.Conflict, err)
	require.Equal(t, maxPlans, plans)
	require.Equal(t, 1, h.kind.openCount())
	require.Equal(t, registry.DigestOf([]byte("one")), h.cfg.Registry.State().Services[routekey.MustParse("/a")].Current.Blobs[0].Digest)
	m.meddle = func() {}
	h.add(routekey.MustParse("/a"), "three")
	h.requireServed("/a", "three")
}

// A version of the history is checked by the rules of today.
func TestRollbackIsValidated(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	h.add(routekey.MustParse("/a"), "one")
	h.add(routekey.MustParse("/a"), "two")
	h.kind.failAt("validate", func(context.Context) error {
		return problem.New(problem.Forbidden, "not any more").WithCause(errInjected)
	})
	_, err := h.Rollback(t.Context(), routekey.MustParse("/a"))
	require.ErrorIs(t, err, errInjected)
	requireKind(t, problem.Forbidden, err)
	h.requireServed("/a", "two")
	h.retiring.Wait()
	require.Equal(t, 1, h.kind.openCount())
}

// The progress of the start counts the services of the first Apply alone.
func TestLaterAppliesAreNotPartOfTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k *slowKind
		h := booted(t, t.TempDir(), func(c *Config) {
			c.FileRules = true
			k = slow(c)
		})
		defer h.end()
		applied := make(chan error, 1)
		apply := func(declared string) {
			go func() {
				_, err := h.Apply(context.Background(), specs(declared))
				applied <- err
			}()
			synctest.Wait()
		}
		progress := func() [2]int {
			done, total := h.Progress()
			return [2]int{done, total}
		}
		apply("/a=1")
		require.Equal(t, [2]int{0, 1}, progress())
		k.open("1")
		require.NoError(t, <-applied)
		require.Equal(t, [2]int{1, 1}, progress())
		apply("/a=2")
		require.Equal(t, [2]int{1, 1}, progress())
		k.open("2")
		require.NoError(t, <-applied)
		require.Equal(t, [2]int{1, 1}, progress())
	})
}

// All violations of a file are reported together, whether the plan or a kind finds them.
func TestApplyReportsPlanAndKind(t *testing.T) {
	h := booted(t, t.TempDir(), withFile)
	_, err := h.Apply(t.Context(), specs("/a=1", "/b=bad", "/a=2", "/c=bad"))
	var refused *ApplyError
	require.ErrorAs(t, err, &refused)
	var failing []int
	for _, f := range refused.Failures {
		failing = append(failing, f.Index)
	}
	require.Equal(t, []int{1, 2, 3}, failing)
	require.ErrorContains(t, refused.Failures[1].Err, `prefix "/a" is declared more than once`)
}

// Of two loads, one takes effect.
func TestLoadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := unbooted(t, stocked(t), nil)
		defer h.end()
		h.writer <- struct{}{}
		loaded := make(chan error, 2)
		for range 2 {
			go func() { loaded <- h.Load(context.Background()) }()
		}
		synctest.Wait()
		<-h.writer
		first, second := <-loaded, <-loaded
		if first == nil {
			first, second = second, first
		}
		require.ErrorIs(t, first, ErrBooted)
		require.NoError(t, second)
		require.NoError(t, h.Start(t.Context()))
		h.requireServed("/a", "one")
		done, total := h.Progress()
		require.Equal(t, done, total)
	})
}
