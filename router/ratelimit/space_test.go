package ratelimit

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func keysOf(limiters ...*Limiter) (keys int) {
	for _, l := range limiters {
		keys += l.Stats().Keys
	}
	return keys
}

// One limiter takes its share of the places. Another one has some at once, and more when the keys of the first are not in use any more,
// even if that has no more requests.
func TestLimitersShareASpace(t *testing.T) {
	const places = 1000
	space := NewSpace(places)
	a, b := New(Policy{Period: time.Second, Burst: 1}, space), New(Policy{Period: time.Second, Burst: 1}, space)
	now := time.Now()
	for i := range 2 * places {
		a.Take(a.OfText(strconv.Itoa(i)), now)
	}
	require.Equal(t, places*share/(1+share), keysOf(a))
	require.EqualValues(t, 2*places-places*share/(1+share), a.Stats().Shared)
	for i := range 100 {
		require.Zero(t, b.Take(b.OfText("first "+strconv.Itoa(i)), now), "clients of other services have bursts of their own")
	}
	require.Equal(t, 100, keysOf(b))

	now = now.Add(2 * time.Second)
	for i := range places {
		now = now.Add(spaceGap)
		b.Take(b.OfText(strconv.Itoa(i)), now)
	}
	require.Zero(t, keysOf(a))
	require.Greater(t, keysOf(b), places/2)
	require.LessOrEqual(t, keysOf(a, b), places)
	a.Close()
	b.Close()
	require.EqualValues(t, places, space.left.Load())
	require.Empty(t, space.limiters)
}

// The keys of all requests of a service take no place.
func TestOneKeyTakesNoPlace(t *testing.T) {
	l := New(Policy{Period: time.Second, Burst: 1, By: ByService}, NewSpace(0))
	require.Zero(t, l.Take(l.OfAll(), time.Now()))
	require.Equal(t, Stats{Keys: 1}, l.Stats())
	l.Close()
}

// Requests that are in progress while a limiter is closed take no places of it.
func TestRequestsDuringClose(t *testing.T) {
	const places = 500
	space := NewSpace(places)
	for range 20 {
		limiters := []*Limiter{New(Policy{Period: time.Millisecond, Burst: 2}, space), New(Policy{Period: time.Hour, Burst: 2}, space)}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 500 {
					l := limiters[rand.IntN(2)]
					l.Take(l.OfText(strconv.Itoa(rand.IntN(1000))), time.Now())
				}
			})
		}
		all.Go(limiters[0].Close)
		all.Wait()
		require.EqualValues(t, places-keysOf(limiters...), space.left.Load())
		require.Zero(t, keysOf(limiters[0]))
		limiters[1].Close()
		require.Zero(t, keysOf(limiters...))
		require.EqualValues(t, places, space.left.Load())
	}
}

func TestShardsShareNoCacheLine(t *testing.T) {
	require.EqualValues(t, 128, reflect.TypeFor[shard]().Size())
}
