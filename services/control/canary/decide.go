package canary

import (
	"fmt"
	"math"
	"time"

	"github.com/vespo-dev/vespo/registry"
)

// Verdict is the outcome of a decision.
type Verdict int

// The verdicts.
const (
	Wait Verdict = iota
	Promote
	RollBack
)

// Critical values of the normal distribution for the one-sided test of the shares of errors. The running trial is tested every
// second, so its level is stricter than that of the one decision at its end.
const (
	criticalRunning = 3.09 // 0.1 %
	criticalEnd     = 1.64 // 5 %
)

// latencyFloor is a difference of latencies that is never a reason: timers and schedulers make as much.
const latencyFloor = time.Millisecond

// Decide returns the verdict on a canary, with its reason. other is the sample of the version that it is compared with.
//
// Nothing is decided before both versions have served MinRequests. A trial whose time is over goes on until they have, for
// as long again as it was meant to last, and is then rolled back: a version that was hardly tried is not trusted.
func Decide(c registry.Canary, trial, other Sample, now time.Time) (Verdict, string) {
	over := !now.Before(c.Ends)
	least := uint64(c.Rules.MinRequests)
	if trial.Requests < least || other.Requests < least {
		if now.Before(c.Ends.Add(c.Ends.Sub(c.Began))) {
			return Wait, ""
		}
		return RollBack, fmt.Sprintf("too few requests to decide: %d of version %d and %d of version %d, needed are %d",
			trial.Requests, c.Number, other.Requests, c.Against, least)
	}
	critical := criticalRunning
	if over {
		critical = criticalEnd
	}
	p, q := trial.errorShare(), other.errorShare()
	if worse(trial, other, c.Rules.MaxErrors) > critical {
		return RollBack, fmt.Sprintf("errors: %s of %d requests, against %s of %d", percent(p), trial.Requests, percent(q), other.Requests)
	}
	if limit := time.Duration(float64(other.P95) * c.Rules.MaxLatency); trial.P95 > limit && trial.P95-other.P95 > latencyFloor {
		return RollBack, fmt.Sprintf("latency: p95 of %s, against %s", short(trial.P95), short(other.P95))
	}
	if !over {
		return Wait, ""
	}
	return Promote, fmt.Sprintf("errors: %s of %d requests, against %s of %d; p95 of %s, against %s",
		percent(p), trial.Requests, percent(q), other.Requests, short(trial.P95), short(other.P95))
}

// worse returns by how many standard errors the share of errors of trial exceeds that of other by more than margin: the
// statistic of a two-proportion test with a margin. The variance is that of a version which is worse by exactly the margin. It
// is at least that of the pooled share, to which half an error is added: no error at all is no certainty.
func worse(trial, other Sample, margin float64) float64 {
	n, m := float64(trial.Requests), float64(other.Requests)
	excess := trial.errorShare() - other.errorShare() - margin
	if n == 0 || m == 0 || excess <= 0 {
		return 0
	}
	pooled := (float64(trial.Errors) + float64(other.Errors) + 0.5) / (n + m + 1)
	p, q := min(max(other.errorShare()+margin, pooled), 0.5), min(max(other.errorShare(), pooled), 0.5)
	return excess / math.Sqrt(p*(1-p)/n+q*(1-q)/m)
}

func percent(share float64) string { return fmt.Sprintf("%.3g%%", share*100) }

func short(d time.Duration) string {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
