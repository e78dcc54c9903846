package deploy

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
)

func TestAddServesAndReplaces(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	first := h.add(routekey.MustParse("/a"), "one")
	require.True(t, first.Created)
	require.EqualValues(t, 1, first.Service.Current.Generation)
	require.Equal(t, registry.DigestOf([]byte("one")), first.Service.Current.Blobs[0].Digest)
	require.EqualValues(t, 3, first.Service.Current.Size())
	require.Equal(t, services.StateReady, first.Status.State)
	require.WithinDuration(t, time.Now(), first.Service.Current.Deployed, time.Minute)
	h.requireServed("/a", "one")
	h.requireServed("/a/b?x", "one")

	second := h.add(routekey.MustParse("/a"), "two")
	require.False(t, second.Created)
	require.EqualValues(t, 2, second.Service.Current.Generation)
	h.requireServed("/a", "two")

	h.add(routekey.MustParse("/a/b"), "three")
	h.requireServed("/a/b", "three")
	h.requireServed("/a", "two")
}

func TestSameContentAgainIsANewGeneration(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	h.add(routekey.MustParse("/a"), "one")
	h.add(routekey.MustParse("/a"), "two")
	again := h.add(routekey.MustParse("/a"), "two")
	require.False(t, again.Created)
	require.EqualValues(t, 3, again.Service.Current.Generation)
	require.Len(t, again.Service.History, 1)
	_, err := h.Rollback(context.Background(), routekey.MustParse("/a"))
	require.NoError(t, err)
	h.requireServed("/a", "one")
}

func TestRemove(t *testing.T) {
	ctx := context.Background()
	h := booted(t, t.TempDir(), nil)
	h.add(routekey.MustParse("/a"), "one")
	h.add(routekey.MustParse("/b"), "two")
	require.NoError(t, h.Remove(ctx, routekey.MustParse("/a")))
	status, _ := h.get("/a")
	require.Equal(t, http.StatusNotFound, status)
	h.requireServed("/b", "two")
	err := h.Remove(ctx, routekey.MustParse("/a"))
	require.ErrorIs(t, err, registry.ErrNotFound)
	requireKind(t, problem.NotFound, err)
	_, err = h.Inspect(routekey.MustParse("/a"))
	requireKind(t, problem.NotFound, err)
	require.True(t, h.add(routekey.MustParse("/a"), "three").Created)
}

func TestRollback(t *testing.T) {
	ctx := context.Background()
	h := booted(t, t.TempDir(), nil)
	_, err := h.Rollback(ctx, routekey.MustParse("/a"))
	requireKind(t, problem.NotFound, err)
	h.add(routekey.MustParse("/a"), "one")
	_, err = h.Rollback(ctx, routekey.MustParse("/a"))
	requireKind(t, problem.Conflict, err)
	require.ErrorIs(t, err, registry.ErrNoVersion)
	h.add(routekey.MustParse("/a"), "two")
	h.add(routekey.MustParse("/a"), "three")

	for i, want := range []string{"two", "three", "two"} { // back and forth
		result, err := h.Rollback(ctx, routekey.MustParse("/a"))
		require.NoError(t, err)
		require.False(t, result.Created)
		require.EqualValues(t, 4+i, result.Service.Current.Generation)
		h.requireServed("/a", want)
	}
	_, err = h.RollbackTo(ctx, routekey.MustParse("/a"), 1)
	require.NoError(t, err)
	h.requireServed("/a", "one")
	_, err = h.RollbackTo(ctx, routekey.MustParse("/a"), 1)
	requireKind(t, problem.Conflict, err)
}

func TestRollbackToWhatIsRottenChangesNothing(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	h.add(routekey.MustParse("/a"), "one")
	h.add(routekey.MustParse("/a"), "two")
	h.store.failAt("Get", registry.ErrBlobCorrupt)
	_, err := h.Rollback(context.Background(), routekey.MustParse("/a"))
	require.ErrorIs(t, err, registry.ErrBlobCorrupt)
	requireKind(t, problem.Internal, err)
	h.requireServed("/a", "two")
}

func TestListAndInspect(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	require.Empty(t, h.List())
	h.add(routekey.MustParse("/b"), "two")
	added := h.add(routekey.MustParse("/a"), "one")
	list := h.List()
	require.Len(t, list, 2)
	require.Equal(t, added.Service, list[0].Service)
	require.Equal(t, "text", list[0].Status.ABI)
	entry, err := h.Inspect(routekey.MustParse("/a"))
	require.NoError(t, err)
	require.Equal(t, list[0], entry)
}

func TestValidateReportsAllViolations(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	require.NoError(t, h.Validate(spec(routekey.MustParse("/a"), "one")))
	_, err := h.Add(context.Background(), services.Spec{
		Key:      routekey.Stored("services//x"),
		Kind:     "none",
		Blobs:    []services.Blob{{Field: "module", Digest: registry.DigestOf(nil), Content: []byte("bad")}},
		Manifest: `{"use_config":{"a":"b"}}`,
	})
	require.ErrorIs(t, err, ErrInvalid)
	p := requireKind(t, problem.BadRequest, err)
	require.GreaterOrEqual(t, len(p.Violations), 5, "%q", p.Violations)

	p = requireKind(t, problem.BadRequest, h.Validate(spec(routekey.Stored("a/"), "bad")))
	require.Equal(t, []string{`prefix is refused: it is not canonical; write "/a"`, "bad in one way", "module bad in another"}, problem.Texts(p.Violations))
	p = requireKind(t, problem.ModuleInvalid, h.Validate(spec(routekey.MustParse("/a"), "bad")))
	require.Equal(t, []string{"bad in one way", "module bad in another"}, problem.Texts(p.Violations))
	require.Empty(t, h.List())
	require.Empty(t, h.names())
}

// TestFaultAtEveryStepChangesNothing replaces a service with a fault at each step of the transaction in turn.
func TestFaultAtEveryStepChangesNothing(t *testing.T) {
	fail := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	panics := func(context.Context) error { panic("injected") }
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	var duringPrepare context.Context
	var cancelDuring context.CancelFunc
	for name, tc := range map[string]struct {
		inject func(h *house)
		ctx    *context.Context
		want   error
		kind   problem.Kind
	}{
		"validate fails":    {func(h *house) { h.kind.failAt("validate", fail(errInjected)) }, nil, errInjected, problem.Internal},
		"validate panics":   {func(h *house) { h.kind.failAt("validate", panics) }, nil, ErrPanic, problem.Internal},
		"lock: cancelled":   {func(h *house) { h.writer <- struct{}{} }, &cancelled, context.Canceled, problem.Internal},
		"blob: no space":    {func(h *house) { h.store.failAt("Put", syscall.ENOSPC) }, nil, syscall.ENOSPC, problem.InsufficientStorage},
		"blob: quota":       {func(h *house) { h.store.failAt("Put", syscall.EDQUOT) }, nil, syscall.EDQUOT, problem.InsufficientStorage},
		"blob: I/O error":   {func(h *house) { h.store.failAt("Put", syscall.EIO) }, nil, syscall.EIO, problem.Internal},
		"prepare fails":     {func(h *house) { h.kind.failAt("prepare", fail(errInjected)) }, nil, errInjected, problem.Internal},
		"prepare panics":    {func(h *house) { h.kind.failAt("prepare", panics) }, nil, ErrPanic, problem.Internal},
		"prepare: nothing":  {func(h *house) { h.kind.nothings = true }, nil, nil, problem.Internal},
		"prepare: deadline": {func(h *house) { h.kind.failAt("prepare", fail(context.DeadlineExceeded)) }, nil, context.DeadlineExceeded, problem.Deadline},
		"prepare: told": {func(h *house) {
			h.kind.failAt("prepare", fail(fmt.Errorf("told: %w", problem.New(problem.OutOfMemory, "too much"))))
		}, nil, nil, problem.OutOfMemory},
		"commit: cancelled": {func(h *house) {
			h.kind.failAt("prepare", func(context.Context) error { cancelDuring(); return nil })
		}, &duringPrepare, context.Canceled, problem.Internal},
		"commit: no space":  {func(h *house) { h.store.failAt("Commit", syscall.ENOSPC) }, nil, syscall.ENOSPC, problem.InsufficientStorage},
		"commit: I/O error": {func(h *house) { h.store.failAt("Commit", syscall.EIO) }, nil, syscall.EIO, problem.Internal},
		"commit: uncertain": {func(h *house) { h.store.failAt("Commit", registry.ErrUncertain) }, nil, registry.ErrUncertain, problem.Internal},
		"commit: unreachable": {func(h *house) {
			h.store.failAt("Commit", &registry.UnreachableError{Store: "etcd://a/b", Err: context.DeadlineExceeded})
		}, nil, context.DeadlineExceeded, problem.NotReady},
		"commit: no answer": {func(h *house) {
			h.store.failAt("Commit", &registry.UnreachableError{Store: "etcd://a/b", Err: registry.ErrUncertain})
		}, nil, registry.ErrUncertain, problem.NotReady},
	} {
		t.Run(name, func(t *testing.T) {
			duringPrepare, cancelDuring = context.WithCancel(context.Background())
			defer cancelDuring()
			h := booted(t, t.TempDir(), nil)
			h.add(routekey.MustParse("/a"), "one")
			before, manifest := h.List(), h.onDisk()
			tc.inject(h)
			ctx := context.Background()
			if tc.ctx != nil {
				ctx = *tc.ctx
			}
			_, err := h.Add(ctx, spec(routekey.MustParse("/a"), "two"))
			p := requireKind(t, tc.kind, err)
			require.NotContains(t, p.Detail, errInjected.Error(), "internals stay in the log")
			if tc.want != nil {
				require.ErrorIs(t, err, tc.want)
			}
			if name == "lock: cancelled" {
				<-h.writer
			}
			h.requireUndisturbed(before, manifest)
		})
	}
}

// requireUndisturbed checks that a failed deploy to /a had no effect, and that the next one succeeds.
func (h *house) requireUndisturbed(before []Entry, manifest []byte) {
	t := h.t
	t.Helper()
	require.Equal(t, before, h.List())
	h.requireServed("/a", "one")
	require.Equal(t, manifest, h.onDisk())
	h.preparing.Wait() // a preparation that its deploy gave up closes the deployment itself
	require.Equal(t, 1, h.kind.openCount(), "what was prepared is closed")
	h.retiring.Wait()
	require.Len(t, h.names(), 1, "the blob that no version names is collected")

	h.kind.failAt("", nil)
	h.store.failAt("", nil)
	h.kind.nothings = false
	result := h.add(routekey.MustParse("/a"), "three")
	require.EqualValues(t, 2, result.Service.Current.Generation)
	h.requireServed("/a", "three")
}

func TestFaultInRemoveChangesNothing(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	h.add(routekey.MustParse("/a"), "one")
	before, manifest := h.List(), h.onDisk()
	h.store.failAt("Commit", syscall.ENOSPC)
	require.ErrorIs(t, h.Remove(context.Background(), routekey.MustParse("/a")), syscall.ENOSPC)
	h.requireUndisturbed(before, manifest)
}

func TestWaitingForTheWriterLockIsBounded(t *testing.T) {
	h := booted(t, t.TempDir(), func(c *Config) { c.MaxWaiters = 2 })
	started, proceed := make(chan struct{}, 8), make(chan struct{})
	h.kind.failAt("prepare", func(context.Context) error {
		started <- struct{}{}
		<-proceed
		return nil
	})
	var wg sync.WaitGroup
	add := func(text string) {
		wg.Go(func() {
			_, err := h.Add(context.Background(), spec(routekey.MustParse("/a"), text))
			assert.NoError(t, err)
		})
	}
	add("one")
	<-started
	add("two")
	add("three")
	require.Eventually(t, func() bool { return h.waiters.Load() == 2 }, time.Minute, time.Millisecond)

	_, err := h.Add(context.Background(), spec(routekey.MustParse("/a"), "four"))
	require.ErrorIs(t, err, ErrBusy)
	require.Positive(t, requireKind(t, problem.NoCapacity, err).RetryAfter)
	close(proceed)
	wg.Wait()
	require.EqualValues(t, 3, h.cfg.Registry.State().Generation)
	h.add(routekey.MustParse("/a"), "five")
}

func TestLimiterOutlivesVersions(t *testing.T) {
	h := booted(t, t.TempDir(), func(c *Config) { c.Limits = admission.Limits{Concurrency: 1} })
	h.add(routekey.MustParse("/a"), "one")
	answer := h.pause("/a")
	h.add(routekey.MustParse("/a"), "two")
	status, _ := h.get("/a")
	require.Equal(t, http.StatusServiceUnavailable, status, "the old version's request has the one place")
	require.NoError(t, h.Remove(context.Background(), routekey.MustParse("/a")))
	h.add(routekey.MustParse("/a"), "three")
	status, _ = h.get("/a")
	require.Equal(t, http.StatusServiceUnavailable, status, "also across a removal")
	close(h.kind.hold)
	require.Equal(t, "one", <-answer)
	h.retiring.Wait()
	h.requireServed("/a", "three")
}

// TestReplacingUnderLoadLosesNothing continuously replaces a service while requests arrive. All requests are
// answered, and none by a version older than the last one acknowledged before it was sent.
func TestReplacingUnderLoadLosesNothing(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	const deploys = 60
	text := func(n int64) string { return fmt.Sprintf("%08d", n) }
	h.add(routekey.MustParse("/a"), text(0))
	var acknowledged, answered atomic.Int64
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				oldest := text(acknowledged.Load())
				status, body := h.get("/a")
				if !assert.Equal(t, http.StatusOK, status, body) || !assert.GreaterOrEqual(t, body, oldest) {
					return
				}
				answered.Add(1)
			}
		})
	}
	for n := int64(1); n <= deploys; n++ {
		if n%7 == 0 {
			h.add(routekey.MustParse("/b"), text(n)) // the table changes, this service does not
		}
		h.add(routekey.MustParse("/a"), text(n))
		acknowledged.Store(n)
	}
	close(done)
	wg.Wait()
	require.Positive(t, answered.Load())
	entry, err := h.Inspect(routekey.MustParse("/a"))
	require.NoError(t, err)
	require.Len(t, entry.Service.History, deploys)
	require.EqualValues(t, 1+deploys, entry.Service.Current.Number)
	h.retiring.Wait()
	require.Equal(t, 2, h.kind.openCount())
}
