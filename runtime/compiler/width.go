package compiler

import (
	"context"
	goruntime "runtime"
	"time"
)

// Workers of a child share the processors that it may use at a time. That is one part of the machine for each child, so that
// requests find a processor, and the whole machine while no other work waits for one. The child sees that by the time its own
// threads wait, which have a lower priority than those of the server.
const (
	// widthPeriod is the time between two looks.
	widthPeriod = 50 * time.Millisecond
	// crowdedShare and idleShare are waiting times relative to running times: from the first one on, the child becomes narrow,
	// and below the second one it may become wide again.
	crowdedShare = 1.0 / 4
	idleShare    = 1.0 / 20
	// idlePeriods is the number of idle periods before a narrow child becomes wide again.
	idlePeriods = 5
)

// width decides how many processors a child uses.
type width struct {
	narrow, wide int
	now          int
	idle         int // periods
}

// next returns the number for the next period, after one in which the child's threads ran and waited for so long.
func (w *width) next(ran, waited time.Duration) int {
	switch share := float64(waited); {
	case ran <= 0 || share >= crowdedShare*float64(ran):
		w.now, w.idle = w.narrow, 0
	case share > idleShare*float64(ran):
		w.idle = 0
	default:
		if w.idle++; w.idle >= idlePeriods {
			w.now = w.wide
		}
	}
	return w.now
}

// adaptWidth changes the number of processors until ctx ends.
func (j job) adaptWidth(ctx context.Context) {
	w := width{narrow: max(1, j.Workers), wide: max(j.Workers, j.Processors), now: max(j.Workers, j.Processors)}
	if w.wide <= w.narrow {
		return
	}
	ticker := time.NewTicker(widthPeriod)
	defer ticker.Stop()
	ran, waited := schedule()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		ranNow, waitedNow := schedule()
		before := w.now
		if now := w.next(ranNow-ran, waitedNow-waited); now != before {
			goruntime.GOMAXPROCS(now)
		}
		ran, waited = ranNow, waitedNow
	}
}
