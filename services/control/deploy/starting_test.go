package deploy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
)

// slowKind prepares a text when the test calls open for it.
type slowKind struct {
	*textKind
	mu    sync.Mutex
	begun []string                 // guarded by mu; texts in the order of their Prepare
	doors map[string]chan struct{} // guarded by mu; by text
	deaf  bool                     // immutable; Prepare ignores its context
}

func slow(c *Config) *slowKind {
	k := &slowKind{textKind: c.Kinds[0].(*textKind), doors: make(map[string]chan struct{})}
	c.Kinds[0] = k
	return k
}

func (k *slowKind) door(text string) chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.doors[text] == nil {
		k.doors[text] = make(chan struct{})
	}
	return k.doors[text]
}

// open allows the texts to be prepared.
func (k *slowKind) open(texts ...string) {
	for _, text := range texts {
		close(k.door(text))
	}
	synctest.Wait()
}

func (k *slowKind) order() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.begun...)
}

func (k *slowKind) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	door := k.door(string(moduleOf(s)))
	k.mu.Lock()
	k.begun = append(k.begun, string(moduleOf(s)))
	k.mu.Unlock()
	done := ctx.Done()
	if k.deaf {
		done = nil
	}
	select {
	case <-door:
	case <-done:
		return nil, ctx.Err()
	}
	return k.textKind.Prepare(context.WithoutCancel(ctx), s)
}

// starting returns a house over the catalogue of stocked, with its start running in a goroutine.
func starting(t *testing.T, change func(*Config)) (*house, *slowKind, <-chan error) {
	t.Helper()
	dir := stocked(t)
	var k *slowKind
	h := unbooted(t, dir, func(c *Config) {
		k = slow(c)
		c.PrepareParallel = 1
		if change != nil {
			change(c)
		}
	})
	require.NoError(t, h.Load(context.Background()))
	started := make(chan error, 1)
	go func() { started <- h.Start(context.Background()) }()
	synctest.Wait()
	return h, k, started
}

// ask sends a request in a goroutine.
func (h *house) ask(path string) <-chan *httptest.ResponseRecorder {
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		answer := httptest.NewRecorder()
		h.router.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		answered <- answer
	}()
	synctest.Wait()
	return answered
}

func (h *house) state(key routekey.Key) string {
	entry, err := h.Inspect(key)
	require.NoError(h.t, err)
	return entry.Status.State
}

func TestServicesServeAsTheyBecomeReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k, started := starting(t, nil)
		defer h.end()
		done, total := h.Progress()
		require.Equal(t, [2]int{0, 3}, [2]int{done, total})
		require.Len(t, h.List(), 3)
		require.Equal(t, services.StateStarting, h.state(routekey.MustParse("/a")))
		require.False(t, h.Ready())

		onC := h.ask("/c") // moves it in front of /b
		k.open("one")
		h.requireServed("/a", "one")
		require.Equal(t, services.StateReady, h.state(routekey.MustParse("/a")))
		require.Equal(t, services.StateStarting, h.state(routekey.MustParse("/b")))
		require.False(t, h.Ready())
		done, total = h.Progress()
		require.Equal(t, [2]int{1, 3}, [2]int{done, total})

		k.open("three")
		require.Equal(t, "three", (<-onC).Body.String())
		require.Equal(t, []string{"one", "three", "two"}, k.order())
		k.open("two")
		require.NoError(t, <-started)
		require.True(t, h.Ready())
		h.requireServed("/b", "two")
		require.Zero(t, h.inFlight())
	})
}

func TestRequestsWaitForAStartWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k, _ := starting(t, func(c *Config) {
			c.Limits = admission.Limits{Concurrency: 1, Queue: 2, Wait: time.Minute}
			c.Gate = admission.NewGate(1)
			c.StartWait, c.MaxStartWait = 3*time.Second, 3
		})
		defer h.end()
		refused := func(answer *httptest.ResponseRecorder) {
			t.Helper()
			require.Equal(t, http.StatusServiceUnavailable, answer.Code)
			require.Contains(t, answer.Body.String(), problem.NotReady.Type())
			require.NotEmpty(t, answer.Header().Get("Retry-After"))
		}
		begun := time.Now()
		onA := []<-chan *httptest.ResponseRecorder{h.ask("/a"), h.ask("/a")}
		refused(<-h.ask("/a")) // above Queue for one service
		onB := h.ask("/b")
		refused(<-h.ask("/c")) // above MaxStartWait for all
		require.Zero(t, time.Since(begun))
		require.Zero(t, h.inFlight(), "who waits for a start takes no capacity")
		require.Equal(t, Stats{Services: 3, Starting: 3, Requests: 3, RequestsRefused: 2}, h.Stats())
		for _, answer := range append(onA, onB) {
			refused(<-answer)
			require.Equal(t, 3*time.Second, time.Since(begun))
		}
		again := h.ask("/a")
		k.open("one", "two", "three")
		require.Equal(t, "one", (<-again).Body.String())
	})
}

// A client that disconnects releases its place.
func TestClientLeavesWhileItsServiceStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k, _ := starting(t, func(c *Config) { c.MaxStartWait = 1 })
		defer h.end()
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			defer func() { _ = recover() }() // http.ErrAbortHandler, for the HTTP server
			h.router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/a", nil))
		}()
		synctest.Wait()
		leave()
		<-gone
		next := h.ask("/a")
		k.open("one", "two", "three")
		require.Equal(t, "one", (<-next).Body.String())
	})
}

func TestOneThatCannotStartFailsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k, started := starting(t, func(c *Config) { c.PrepareParallel = 3 })
		defer h.end()
		onB := h.ask("/b")
		h.kind.failAt("prepare", func(context.Context) error { return errInjected })
		k.open("two")
		require.Equal(t, http.StatusServiceUnavailable, (<-onB).Code)
		require.Equal(t, services.StateFailed, h.state(routekey.MustParse("/b")))
		h.kind.failAt("", nil)
		k.open("one", "three")
		require.NoError(t, <-started)
		require.True(t, h.Ready(), "one that has failed is done")
		require.Equal(t, Stats{Services: 3, Unavailable: 1}, h.Stats())
		h.requireServed("/a", "one")
		h.requireServed("/c", "three")
	})
}

// A service that waits to start can be changed. Requests that wait for it see the result.
func TestChangesDuringTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k, started := starting(t, nil)
		defer h.end()
		onB, onC := h.ask("/b"), h.ask("/c")
		require.NoError(t, h.Remove(t.Context(), routekey.MustParse("/c")))
		require.Equal(t, http.StatusNotFound, (<-onC).Code)

		deployed := make(chan error, 1)
		go func() {
			_, err := h.Add(context.Background(), spec(routekey.MustParse("/b"), "new"))
			deployed <- err
		}()
		synctest.Wait()
		k.open("new") // has waited for the only turn
		k.open("one")
		require.NoError(t, <-deployed)
		require.Equal(t, "new", (<-onB).Body.String())
		require.NoError(t, <-started)
		require.Equal(t, []string{"one", "new"}, k.order(), "what was replaced is not prepared")
		done, total := h.Progress()
		require.Equal(t, done, total)
	})
}

// A failed change leaves the service to the start.
func TestFailedChangeDuringTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k, started := starting(t, func(c *Config) { c.PrepareParallel = 2 })
		defer h.end()
		require.ElementsMatch(t, []string{"one", "two"}, k.order())
		k.open("two") // the worker takes /c next
		deployed := make(chan error, 1)
		go func() {
			_, err := h.Add(context.Background(), spec(routekey.MustParse("/a"), "new")) // waits for /a, which is starting
			deployed <- err
		}()
		synctest.Wait()
		k.open("one")
		h.kind.failAt("prepare", func(context.Context) error { return errInjected })
		k.open("new")
		require.ErrorIs(t, <-deployed, errInjected)
		h.kind.failAt("", nil)
		k.open("three")
		require.NoError(t, <-started)
		h.requireServed("/a", "one")
		h.requireServed("/c", "three")
	})
}

func TestReadyWaitsForTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k, started := starting(t, func(c *Config) { c.FileRules, c.PrepareParallel = true, 2 })
		defer h.end()
		k.open("one", "two", "three")
		require.NoError(t, <-started)
		require.False(t, h.Ready())
		answer := <-h.ask("/of-the-file")
		require.Equal(t, http.StatusServiceUnavailable, answer.Code, "it is not known yet that there is none")
		h.requireServed("/a", "one")

		applied := make(chan error, 1)
		go func() {
			_, err := h.Apply(context.Background(), specs("/of-the-file=four"))
			applied <- err
		}()
		synctest.Wait()
		done, total := h.Progress()
		require.Equal(t, [2]int{3, 4}, [2]int{done, total})
		require.False(t, h.Ready())
		k.open("four")
		require.NoError(t, <-applied)
		require.True(t, h.Ready())
		h.requireServed("/of-the-file", "four")
		require.Equal(t, http.StatusNotFound, (<-h.ask("/none")).Code)
	})
}

// Unchanged services of the file are prepared by the start, while the rest of the file is applied.
func TestFileIsAppliedBesideTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		h := booted(t, dir, withFile)
		h.apply("/same=one", "/changed=two", "/gone=three")
		h.end()
		var k *slowKind
		h = unbooted(t, dir, func(c *Config) {
			c.FileRules = true
			k = slow(c)
		})
		defer h.end()
		require.NoError(t, h.Load(t.Context()))
		done := make(chan error, 2)
		go func() {
			_, err := h.Apply(context.Background(), specs("/same=one", "/changed=new"))
			done <- err
		}()
		synctest.Wait()
		go func() { done <- h.Start(context.Background()) }()
		synctest.Wait()
		k.open("one")
		h.requireServed("/same", "one")
		onChanged := h.ask("/changed")
		k.open("new")
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.Equal(t, "new", (<-onChanged).Body.String())
		require.ElementsMatch(t, []string{"one", "new"}, k.order(), "what the file replaces or removes is not prepared")
		require.True(t, h.Ready())
	})
}

// Close does not wait for a kind that ignores its context, neither at start nor in a deploy.
func TestCloseDoesNotWaitForPreparations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k *slowKind
		h := booted(t, t.TempDir(), func(c *Config) {
			k = slow(c)
			k.deaf = true
			c.CloseTimeout = time.Second
		})
		result := make(chan error, 1)
		go func() {
			_, err := h.Add(context.Background(), spec(routekey.MustParse("/a"), "one"))
			result <- err
		}()
		synctest.Wait()
		begun := time.Now()
		h.BeginClose()
		require.ErrorIs(t, <-result, ErrClosed)
		require.Zero(t, time.Since(begun))
		require.False(t, h.Ready())
		require.ErrorIs(t, h.Close(t.Context()), ErrStuck)
		require.Equal(t, time.Second, time.Since(begun))
		k.open("one") // a late deployment is closed
		require.NoError(t, h.Close(t.Context()))
		h.end()
	})
}

// A slow module does not delay the deploys of others. At most PrepareParallel services are prepared at a
// time.
func TestDeploysGoOnSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k *slowKind
		h := booted(t, t.TempDir(), func(c *Config) {
			k = slow(c)
			c.PrepareParallel = 2
		})
		defer h.end()
		results := make(chan error, 4)
		add := func(key routekey.Key, text string) {
			go func() {
				_, err := h.Add(context.Background(), spec(key, text))
				results <- err
			}()
			synctest.Wait()
		}
		add(routekey.MustParse("/slow"), "slow")
		add(routekey.MustParse("/slow"), "after slow")
		add(routekey.MustParse("/quick"), "quick")
		add(routekey.MustParse("/third"), "third")
		require.Equal(t, []string{"slow", "quick"}, k.order())
		k.open("quick")
		require.NoError(t, <-results)
		h.requireServed("/quick", "quick")
		require.Equal(t, []string{"slow", "quick", "third"}, k.order())
		k.open("third", "slow", "after slow")
		for range 3 {
			require.NoError(t, <-results)
		}
		h.requireServed("/slow", "after slow")
		require.NoError(t, h.cfg.Registry.State().Check())
	})
}
