package admission

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHeavyRequestsTakeAllTheyNeedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(4)
		heavy := g.NewLimiter(Limits{Weight: 3, Queue: 1, Wait: time.Minute})
		light := g.NewLimiter(Limits{Queue: 5, Wait: time.Minute})
		acquireNow(t, light)
		acquireNow(t, light)
		waiting := acquireLater(t.Context(), heavy)
		synctest.Wait()
		later := acquireLater(t.Context(), light) // it would fit, but would delay the heavy one
		synctest.Wait()
		require.Equal(t, GateStats{Capacity: 4, InFlight: 2, Queued: 2}, g.Stats())
		light.Release()
		require.Equal(t, result{}, <-waiting)
		require.Equal(t, GateStats{Capacity: 4, InFlight: 4, Queued: 1}, g.Stats())
		heavy.Release()
		require.Equal(t, result{}, <-later)
		light.Release()
		light.Release()
		require.Equal(t, GateStats{Capacity: 4}, g.Stats())
	})
}

func TestAHeavyRequestThatGivesUpLetsTheOthersIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGate(2)
		heavy := g.NewLimiter(Limits{Weight: 2, Queue: 1, Wait: time.Second})
		light := g.NewLimiter(Limits{Queue: 1, Wait: time.Minute})
		acquireNow(t, light)
		waiting := acquireLater(t.Context(), heavy)
		synctest.Wait()
		later := acquireLater(t.Context(), light)
		require.ErrorIs(t, (<-waiting).err, ErrWaitTimeout)
		require.Equal(t, result{wait: time.Second}, <-later)
		light.Release()
		light.Release()
	})
}

func TestNoRequestWeighsMoreThanTheGateTakes(t *testing.T) {
	l := newTestGate(2).NewLimiter(Limits{Weight: 9})
	acquireNow(t, l)
	l.Release()
}
