package proxy

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// balanced returns a balancer with n upstreams named a, b, c and so on.
func balanced(n int) *balancer {
	b := &balancer{}
	for i := range n {
		b.upstreams = append(b.upstreams, &upstream{origin: origin{host: string(rune('a' + i))}})
	}
	return b
}

func TestFewestInFlightThenInTurn(t *testing.T) {
	b, now := balanced(3), time.Now()
	for _, want := range "abcabc" {
		require.Equal(t, string(want), b.acquire(now, nil).origin.host)
	}
	b.release(b.upstreams[1])
	b.release(b.upstreams[1])
	b.release(b.upstreams[2])
	for _, want := range "bcbc" {
		require.Equal(t, string(want), b.acquire(now, nil).origin.host)
	}
}

func TestTriedOnesAreLeftOut(t *testing.T) {
	b, now := balanced(2), time.Now()
	first := b.acquire(now, nil)
	second := b.acquire(now, []*upstream{first})
	require.NotSame(t, first, second)
	require.Nil(t, b.acquire(now, []*upstream{first, second}))
}

func TestFailedOneIsSetAside(t *testing.T) {
	b, now := balanced(2), time.Now()
	bad := b.acquire(now, nil)
	b.failed(bad, now)
	b.release(bad)
	require.Equal(t, []*upstream{bad}, b.aside(now))
	for range 5 { // regardless of the load of the other one
		require.NotSame(t, bad, b.acquire(now.Add(firstAside-1), nil))
	}
	now = now.Add(firstAside)
	require.Same(t, bad, b.acquire(now, nil), "one request tries it")
	require.NotSame(t, bad, b.acquire(now, nil), "and others do not, before something has come of that")
	b.answered(bad)
	require.Empty(t, b.aside(now))
	require.Same(t, bad, b.acquire(now, nil))
}

func TestSettingAsideIsBounded(t *testing.T) {
	b, now := balanced(2), time.Now()
	u := b.upstreams[0]
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		b.failed(u, now)
		require.Equal(t, want*time.Second, u.until.Sub(now), i)
		now = u.until
		require.Same(t, u, b.acquire(now, nil))
	}
	for range 100 {
		b.failed(u, now)
		now = u.until
		require.Same(t, u, b.acquire(now, nil))
	}
	b.failed(u, now)
	require.Equal(t, maxAside, u.until.Sub(now))
}

func TestWhereAllAreSetAsideTheNextOneDueIsTried(t *testing.T) {
	b, now := balanced(3), time.Now()
	for i, u := range b.upstreams {
		b.failed(u, now.Add(time.Duration(2-i)*time.Millisecond))
	}
	require.Len(t, b.aside(now), 3)
	c := b.acquire(now, nil)
	require.Equal(t, "c", c.origin.host)
	b.failed(c, now)
	require.Equal(t, "b", b.acquire(now, nil).origin.host)
}

// TestAnOutageCountsOnce: requests that were in flight together fail together.
func TestAnOutageCountsOnce(t *testing.T) {
	b, now := balanced(1), time.Now()
	u := b.upstreams[0]
	for range 8 {
		b.acquire(now, nil)
	}
	for range 8 {
		b.failed(u, now)
		b.release(u)
	}
	require.Equal(t, firstAside, u.until.Sub(now))
	now = now.Add(firstAside)
	b.acquire(now, nil)
	b.failed(u, now)
	require.Equal(t, 2*firstAside, u.until.Sub(now))
	require.EqualValues(t, 9, u.health.failed)
}

// balancerModel is a balancer without a lock, with plain loops.
type balancerModel struct {
	b        *balancer
	next     int
	until    []time.Time
	inFlight []int
	failures []int // outages since the last answer
	tries    []bool
}

// choose returns the index of the upstream that a request gets, or -1.
func (m *balancerModel) choose(now time.Time, tried []*upstream) int {
	var best []int
	for _, wanted := range []func(i int) bool{
		func(i int) bool { return m.failures[i] > 0 && !m.until[i].After(now) },
		func(i int) bool { return m.failures[i] == 0 },
		func(int) bool { return true },
	} {
		for i := range m.until {
			if at := (m.next + i) % len(m.until); wanted(at) && !slices.Contains(tried, m.b.upstreams[at]) {
				best = append(best, at)
			}
		}
		if len(best) > 0 {
			break
		}
	}
	if len(best) == 0 {
		return -1
	}
	return slices.MinFunc(best, func(i, j int) int {
		if m.until[i].After(now) && m.until[j].After(now) {
			return m.until[i].Compare(m.until[j])
		}
		return m.inFlight[i] - m.inFlight[j]
	})
}

// TestBalancerAgainstModel has several requests in flight, which fail, are answered or end, and try other upstreams.
func TestBalancerAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 2))
		n := 1 + random.IntN(4)
		m := &balancerModel{b: balanced(n), until: make([]time.Time, n), inFlight: make([]int, n), failures: make([]int, n), tries: make([]bool, n)}
		var flying [][]*upstream // the upstreams that each request has tried; the last one serves it
		now := time.Now()
		for range 400 {
			now = now.Add(time.Duration(random.IntN(4)) * time.Duration(random.IntN(700)) * time.Millisecond)
			if len(flying) == 0 || len(flying) < 8 && random.IntN(2) == 0 {
				flying = append(flying, nil)
			}
			f := random.IntN(len(flying))
			tried := flying[f]
			if len(tried) > 0 {
				i := slices.Index(m.b.upstreams, tried[len(tried)-1])
				m.end(i, random.IntN(4), now)
			}
			want := m.choose(now, tried)
			if u := m.b.acquire(now, tried); want < 0 {
				require.Nil(t, u)
				flying = slices.Delete(flying, f, f+1)
			} else {
				require.Same(t, m.b.upstreams[want], u)
				m.acquired(want, now)
				flying[f] = append(tried, u)
			}
			for i, u := range m.b.upstreams {
				require.Equal(t, m.inFlight[i], u.inFlight)
				require.Equal(t, m.until[i], u.until)
				require.Equal(t, m.failures[i], u.failures)
			}
		}
	}
}

func (m *balancerModel) acquired(i int, now time.Time) {
	m.next, m.inFlight[i] = (i+1)%len(m.until), m.inFlight[i]+1
	if m.failures[i] > 0 {
		m.until[i], m.tries[i] = now.Add(asideFor(m.failures[i])), true
	}
}

// end ends a request: how is 0 or 1 for a failed connection, 2 for an answer and 3 for a client that has left.
func (m *balancerModel) end(i, how int, now time.Time) {
	u := m.b.upstreams[i]
	switch how {
	case 0, 1:
		m.b.failed(u, now)
		if m.failures[i] == 0 || m.tries[i] {
			m.failures[i]++
			m.until[i], m.tries[i] = now.Add(asideFor(m.failures[i])), false
		}
	case 2:
		m.b.answered(u)
		m.failures[i], m.until[i], m.tries[i] = 0, time.Time{}, false
	}
	m.b.release(u)
	m.inFlight[i]--
}
