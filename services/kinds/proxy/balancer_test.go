package proxy

import (
	"math/rand/v2"
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
	}
	for range 100 {
		b.failed(u, now)
	}
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

// TestBalancerNeverForgetsAnybody applies random operations. acquire must always
// return an upstream, and in the end every upstream.
func TestBalancerNeverForgetsAnybody(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	b, now := balanced(5), time.Now()
	for range 2000 {
		now = now.Add(time.Duration(random.IntN(400)) * time.Millisecond)
		u := b.acquire(now, nil)
		require.NotNil(t, u)
		switch random.IntN(3) {
		case 0:
			b.failed(u, now)
		case 1:
			b.answered(u)
		}
		b.release(u)
	}
	now = now.Add(2 * maxAside)
	seen := map[*upstream]bool{}
	for range b.upstreams {
		u := b.acquire(now, nil)
		b.answered(u)
		seen[u] = true
	}
	require.Len(t, seen, len(b.upstreams))
	for _, u := range b.upstreams {
		require.Equal(t, 1, u.inFlight)
	}
}
