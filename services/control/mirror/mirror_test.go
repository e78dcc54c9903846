package mirror

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// Copies of mirrors that are removed meanwhile leave nothing.
func TestForgottenMirrorsHaveNoCounts(t *testing.T) {
	m := New()
	key := routekey.MustParse("/a")
	m.Offer(key, registry.Mirror{Number: 2}, nil)
	late := <-m.queue
	m.Forget(key, 0)
	m.count(late.name, func(s *Stats) { s.Compared++ })
	require.Empty(t, m.known)

	for i := range 3 * maxKnown { // the queue is full after some of them
		m.Offer(routekey.MustParse(fmt.Sprint("/", i)), registry.Mirror{Number: 1}, nil)
	}
	require.Len(t, m.known, maxKnown)
	last := routekey.MustParse(fmt.Sprint("/", 3*maxKnown-1))
	require.EqualValues(t, 1, m.StatsOf(last, 1).Dropped)
}
