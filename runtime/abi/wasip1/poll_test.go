package wasip1

import (
	"context"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// subscription is one subscription of poll_oneoff.
type subscription struct {
	mark     uint64
	kind     byte
	clock    uint32
	timeout  uint64 // nanoseconds
	absolute bool
	fd       uint32
}

// event is the event of a subscription.
type event struct {
	mark  uint64
	errno errno
	kind  byte
	bytes uint64
}

func (g *guest) putSubscriptions(at uint32, list []subscription) {
	for i, s := range list {
		b := g.bytes(at+uint32(i)*subscriptionBytes, subscriptionBytes)
		clear(b)
		binary.LittleEndian.PutUint64(b, s.mark)
		b[8] = s.kind
		if s.kind != eventClock {
			binary.LittleEndian.PutUint32(b[16:], s.fd)
			continue
		}
		binary.LittleEndian.PutUint32(b[16:], s.clock)
		binary.LittleEndian.PutUint64(b[24:], s.timeout)
		if s.absolute {
			b[40] = clockAbsolute
		}
	}
}

func (g *guest) events(at, count uint32) (list []event) {
	for i := range count {
		b := g.bytes(at+i*eventBytes, eventBytes)
		list = append(list, event{binary.LittleEndian.Uint64(b), errno(binary.LittleEndian.Uint16(b[8:])), b[10], binary.LittleEndian.Uint64(b[16:])})
	}
	return list
}

// clockNow reads a clock with clock_time_get.
func (g *guest) clockNow(id uint64) uint64 {
	require.Equal(g.t, success, g.call("clock_time_get", id, 1, result))
	return g.u64(result)
}

const (
	ms   = uint64(time.Millisecond)
	hour = uint64(time.Hour)
)

func TestPoll(t *testing.T) {
	for _, c := range []struct {
		name  string
		subs  func(g *guest) []subscription
		want  []event
		waits time.Duration
	}{
		{"a timer", func(*guest) []subscription {
			return []subscription{{mark: 7, clock: clockMonotonic, timeout: 200 * ms}}
		},
			[]event{{mark: 7}}, 200 * time.Millisecond},
		{"a timer of the wall clock", func(*guest) []subscription { return []subscription{{mark: 7, clock: clockRealtime, timeout: 200 * ms}} },
			[]event{{mark: 7}}, 200 * time.Millisecond},
		{"no time at all", func(*guest) []subscription { return []subscription{{mark: 7, clock: clockMonotonic}} }, []event{{mark: 7}}, 0},
		{"the first of several", func(*guest) []subscription {
			return []subscription{{mark: 1, clock: clockMonotonic, timeout: 300 * ms}, {mark: 2, clock: clockMonotonic, timeout: 200 * ms}}
		}, []event{{mark: 2}}, 200 * time.Millisecond},
		{"two at the same time", func(*guest) []subscription {
			return []subscription{{mark: 1, clock: clockMonotonic, timeout: 200 * ms}, {mark: 2, clock: clockRealtime, timeout: 200 * ms}, {mark: 3, timeout: hour}}
		}, []event{{mark: 1}, {mark: 2}}, 200 * time.Millisecond},
		{"a moment", func(g *guest) []subscription {
			return []subscription{{mark: 1, clock: clockMonotonic, timeout: g.clockNow(clockMonotonic) + 200*ms, absolute: true}}
		}, []event{{mark: 1}}, 200 * time.Millisecond},
		{"a moment of the wall clock", func(g *guest) []subscription {
			return []subscription{{mark: 1, clock: clockRealtime, timeout: g.clockNow(clockRealtime) + 200*ms, absolute: true}}
		}, []event{{mark: 1}}, 200 * time.Millisecond},
		{"a moment that is over", func(*guest) []subscription {
			return []subscription{{mark: 1, clock: clockRealtime, timeout: 1, absolute: true}, {mark: 2, clock: clockRealtime, timeout: hour}}
		}, []event{{mark: 1}}, 0},
		{"a moment less than twice as far as a timer", func(g *guest) []subscription {
			return []subscription{{mark: 1, clock: clockMonotonic, timeout: g.clockNow(clockMonotonic) + 300*ms, absolute: true},
				{mark: 2, clock: clockMonotonic, timeout: 200 * ms}}
		}, []event{{mark: 2}}, 200 * time.Millisecond},
		{"streams do not wait", func(*guest) []subscription {
			return []subscription{{mark: 1, timeout: hour}, {mark: 2, kind: eventFdRead}, {mark: 3, kind: eventFdWrite, fd: 1}}
		}, []event{{2, success, eventFdRead, 1}, {3, success, eventFdWrite, 1}}, 0},
		{"a stream and a timer that is over", func(*guest) []subscription {
			return []subscription{{mark: 1}, {mark: 2, kind: eventFdRead}}
		}, []event{{mark: 1}, {2, success, eventFdRead, 1}}, 0},
		{"the wrong side of a stream", func(*guest) []subscription {
			return []subscription{{mark: 1, timeout: hour}, {mark: 2, kind: eventFdWrite}, {mark: 3, kind: eventFdRead, fd: 1}}
		}, []event{{2, errBadf, eventFdWrite, 0}, {3, errBadf, eventFdRead, 0}}, 0},
		{"a closed descriptor", func(*guest) []subscription {
			return []subscription{{mark: 1, timeout: hour}, {mark: 2, kind: eventFdRead, fd: 9}}
		}, []event{{2, errBadf, eventFdRead, 0}}, 0},
		{"no such clock", func(*guest) []subscription {
			return []subscription{{mark: 1, timeout: hour}, {mark: 2, clock: 3, timeout: hour}}
		}, []event{{2, errInval, eventClock, 0}}, 0},
		{"no such kind", func(*guest) []subscription { return []subscription{{mark: 1, kind: 3, fd: 1}} }, []event{{1, errInval, 3, 0}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuest(t)
				g.state.Begin(strings.NewReader(""), io.Discard, io.Discard)
				g.do(func() {
					subs := c.subs(g)
					g.putSubscriptions(table, subs)
					began := time.Now()
					require.Equal(t, success, g.call("poll_oneoff", table, buffer, uint64(len(subs)), result))
					require.Equal(t, c.waits, time.Since(began))
					require.Equal(t, c.want, g.events(buffer, g.u32(result)))
				})
			})
		})
	}
}

func TestPollIsBounded(t *testing.T) {
	g := newGuest(t)
	g.do(func() {
		require.Equal(t, errInval, g.call("poll_oneoff", table, buffer, 0, result))
		require.Equal(t, errInval, g.call("poll_oneoff", 0, 0, maxSubscriptions+1, result))
		require.Equal(t, errInval, g.call("poll_oneoff", 0, 0, 1<<32-1, result))
	})
}

// TestPollOverItself places the events over the subscriptions, which overwrites some of them.
func TestPollOverItself(t *testing.T) {
	g := newGuest(t)
	g.state.Begin(strings.NewReader(""), io.Discard, nil)
	for shift := range uint64(subscriptionBytes) {
		g.do(func() {
			var subs []subscription
			for i := range uint64(100) {
				subs = append(subs, subscription{mark: i, kind: byte(i % 3), fd: 1})
			}
			g.putSubscriptions(table, subs)
			require.Equal(t, success, g.call("poll_oneoff", table, table+shift, 100, result))
			require.EqualValues(t, 100, g.u32(result))
		})
	}
}

// TestSleepersAreWoken checks that a sleep ends at the deadline and when the client disconnects.
func TestSleepersAreWoken(t *testing.T) {
	sleep := func(t *testing.T, ctx context.Context, deadline time.Duration) engine.Outcome {
		g := newGuest(t)
		g.bench.Act = func(*engine.Instance, abitest.Entry, uint32, uint32) int64 {
			g.putSubscriptions(table, []subscription{{timeout: 1<<64 - 1}})
			g.call("poll_oneoff", table, buffer, 1, result)
			t.Error("the guest went on")
			return 0
		}
		return g.in.Call(ctx, time.Now().Add(deadline), 0, make([]uint64, 1))
	}
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			require.Equal(t, engine.Deadline, sleep(t, context.Background(), 3*time.Second).Kind)
			require.Equal(t, 3*time.Second, time.Since(began))
		})
	})
	t.Run("client gone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			began := time.Now()
			require.Equal(t, engine.Canceled, sleep(t, ctx, time.Hour).Kind)
			require.Equal(t, time.Second, time.Since(began))
		})
	})
}

// TestNaps counts the sleeps that send the guest's output.
func TestNaps(t *testing.T) {
	for _, c := range []struct {
		sleeps []time.Duration
		sent   int
	}{
		{[]time.Duration{time.Hour}, 1},
		{[]time.Duration{briefWait}, 1},
		{[]time.Duration{time.Millisecond, time.Millisecond}, 0},
		{[]time.Duration{briefWait * 2 / 5, briefWait * 2 / 5}, 0},
		{[]time.Duration{briefWait / 2, briefWait / 2}, 1},
		{[]time.Duration{briefWait / 2, briefWait / 2, briefWait / 2, briefWait / 2}, 2},
		{[]time.Duration{time.Millisecond, time.Second, time.Millisecond}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			g, sent := newGuest(t), 0
			g.in.OnPause = func() { sent++ }
			for range 2 { // the next request starts over
				sent = 0
				g.state.Begin(nil, nil, nil)
				began := time.Now()
				g.bench.Act = func(*engine.Instance, abitest.Entry, uint32, uint32) int64 {
					for _, d := range c.sleeps {
						g.putSubscriptions(table, []subscription{{timeout: uint64(d)}})
						g.call("poll_oneoff", table, buffer, 1, result)
					}
					return 0
				}
				out := g.in.Call(context.Background(), time.Now().Add(2*time.Hour), 0, make([]uint64, 1))
				require.Equal(t, engine.OK, out.Kind)
				require.Equal(t, c.sent, sent, "%v", c.sleeps)
				total := time.Duration(0)
				for _, d := range c.sleeps {
					total += d
				}
				require.Equal(t, total, time.Since(began))
			}
		})
	}
}
