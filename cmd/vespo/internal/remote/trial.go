package remote

import (
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// trial is a canary. Package admin documents the fields.
type trial struct {
	Number   uint64    `json:"number"`
	Against  uint64    `json:"against"`
	Weight   float64   `json:"weight"`
	State    string    `json:"state"`
	Reason   string    `json:"reason"`
	Ends     time.Time `json:"ends"`
	Ended    time.Time `json:"ended"`
	Trial    *sample   `json:"trial"`
	Baseline *sample   `json:"baseline"`
}

// sample summarises the requests of a version.
type sample struct {
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	P95      string `json:"p95"`
}

func (t *trial) write(to *screen) {
	if t.State == "running" {
		fmt.Fprintf(to, "canary: version %d against %d, ends in %s\n", t.Number, t.Against, leftText(t.Ends.Sub(to.now)))
		for _, one := range []struct {
			number uint64
			*sample
		}{{t.Number, t.Trial}, {t.Against, t.Baseline}} {
			if one.sample != nil {
				fmt.Fprintf(to, "  version %d: %s, %s, p95 %s\n", one.number, counted(int(one.Requests), "request"), counted(int(one.Errors), "error"), shown(one.P95))
			}
		}
		return
	}
	text := fmt.Sprintf("canary: version %d was %s %s ago", t.Number, t.State, to.age(t.Ended))
	if t.State == "ended" {
		text = fmt.Sprintf("canary: version %d ended %s ago", t.Number, to.age(t.Ended))
	}
	if t.Reason != "" {
		text += ": " + t.Reason
	}
	fmt.Fprintln(to, stdio.Printable(text))
}
