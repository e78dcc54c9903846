package follow_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// history has the states that a primary has acknowledged, oldest first.
type history struct {
	mu     sync.Mutex
	states []*registry.State // guarded by mu
}

func (h *history) add(s *registry.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states = append(h.states, s)
}

// find returns the index of the first state from a given one that has the services, or -1.
func (h *history) find(from int, all []deploy.Entry) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := from; i < len(h.states); i++ {
		same := len(all) == len(h.states[i].Services)
		for _, e := range all {
			same = same && h.states[i].Services[e.Service.Key].Equal(e.Service)
		}
		if same {
			return i
		}
	}
	return -1
}

// world is a primary and a follower over a network with faults.
type world struct {
	t           *testing.T
	r           *rand.Rand
	dirs        [2]string
	primary     *node
	net         *network
	acked       history
	mu          sync.Mutex // of follower, for the watcher
	follower    *node
	watching    sync.WaitGroup
	stopWatcher chan struct{}
}

// watch checks at every moment that the follower serves an acknowledged state, in their order.
func (w *world) watch() {
	at := 0
	for {
		select {
		case <-w.stopWatcher:
			return
		case <-time.After(time.Millisecond):
		}
		w.mu.Lock()
		if w.follower != nil {
			// A state is acknowledged soon after it is stored, so look again before it counts as a wrong one.
			all, next := w.follower.List(), -1
			for range 1000 {
				if next = w.acked.find(at, all); next >= 0 {
					break
				}
				<-time.After(time.Millisecond)
			}
			if assert.GreaterOrEqual(w.t, next, 0, "the follower serves a state that the primary has not acknowledged since the last one seen") {
				at = next
			} else {
				w.mu.Unlock()
				return
			}
		}
		w.mu.Unlock()
	}
}

func (w *world) openPrimary() {
	w.primary = openNode(w.t, w.dirs[0], "", 0)
	w.acked.add(w.primary.registry.State())
	w.net.target.Store(w.primary.server.Listener.Addr().String())
}

func (w *world) openFollower() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.follower = openNode(w.t, w.dirs[1], w.net.url(), 0)
}

func (w *world) closeFollower() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.follower.close()
	w.follower = nil
}

// change makes a random change. Refused ones are as good.
func (w *world) change() {
	ctx, r := w.t.Context(), w.r
	key := routekey.MustParse(fmt.Sprintf("/%d", r.IntN(5)))
	switch r.IntN(8) {
	case 0:
		_ = w.primary.Remove(ctx, key)
	case 1:
		_, _ = w.primary.Rollback(ctx, key)
	case 2:
		if s, ok := w.primary.registry.State().Services[key]; ok && len(s.History) > 0 {
			weight := 1 + r.IntN(999)
			_, _ = w.primary.Split(ctx, key, registry.Split{Arms: []registry.Arm{
				{Number: s.Current.Number, Weight: weight},
				{Number: s.History[r.IntN(len(s.History))].Number, Weight: registry.Whole - weight},
			}})
		}
	case 3:
		_, _ = w.primary.Transact(ctx, nil, func(*registry.State) (deploy.Changes, error) {
			return deploy.Changes{Records: map[string]deploy.Edit{"test/a": func(registry.Record) (registry.Record, error) {
				return registry.Record{Kind: "test", Manifest: registry.Manifest(fmt.Sprintf(`{"n":%d}`, r.IntN(9)))}, nil
			}}}, nil
		})
	default:
		text := strings.Repeat(fmt.Sprint(r.IntN(30)), 1+r.IntN(4000))
		if r.IntN(10) == 0 {
			text = "not here " + text
		}
		_, _ = w.primary.Add(ctx, services.Spec{Key: key, Kind: "text", Blobs: services.Module([]byte(text))})
	}
	w.acked.add(w.primary.registry.State())
}

// event lets something happen to the hosts or the network between them.
func (w *world) event() {
	switch w.r.IntN(14) {
	case 0:
		w.net.target.Store("")
		w.primary.close()
		if w.r.IntN(2) == 0 {
			<-time.After(30 * time.Millisecond) // the follower is alone
		}
		w.openPrimary()
	case 1:
		w.closeFollower()
		w.openFollower()
	case 2:
		w.net.cut()
	case 3:
		w.net.setHarm(w.r.IntN(100))
	case 4:
		w.follower.disk.full.Store(w.r.IntN(2) == 0)
	case 5:
		<-time.After(time.Duration(w.r.IntN(50)) * time.Millisecond)
	}
}

// TestRandomHistories changes a primary while hosts restart, connections break off, bits flip and the disk of the follower is
// full. At every moment the follower serves an acknowledged state, in their order, and in the end the last one.
func TestRandomHistories(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := &world{
				t:           t,
				r:           rand.New(rand.NewPCG(seed, 7)),
				dirs:        [2]string{t.TempDir(), t.TempDir()},
				net:         newNetwork(t, seed),
				stopWatcher: make(chan struct{}),
			}
			w.openPrimary()
			w.openFollower()
			w.watching.Go(w.watch)
			for range 80 {
				w.change()
				w.event()
			}
			w.net.setHarm(0)
			w.net.cut()
			w.follower.disk.full.Store(false)
			w.follower.await(w.primary)
			require.Eventually(t, func() bool { return w.acked.find(len(w.acked.states)-1, w.follower.List()) >= 0 }, time.Minute, time.Millisecond)
			close(w.stopWatcher)
			w.watching.Wait()
			w.follower.requireLike(w.primary)
			w.closeFollower()
			w.primary.close()
			w.net.close()
		})
	}
}
