package registry

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Whole is the sum of the weights of a split.
const Whole = 1000

// MaxArms bounds the versions that serve at the same time: each has instances of its own.
const MaxArms = 8

// Arm is the share of a version in the requests of its service.
type Arm struct {
	Number Number
	Weight int // of Whole
}

// Sticky names what keeps a client at one version: a header or a cookie. One of the fields is set at most.
type Sticky struct {
	Header string
	Cookie string
}

// Split divides the requests of a service among its versions. The zero value gives all to the current version.
type Split struct {
	Arms   []Arm // by number; none or at least two. Not modified once it is in a State
	Sticky Sticky
}

// Mirror copies requests of a service to a version whose answers are compared and dropped. The zero value is none.
type Mirror struct {
	Number  Number
	Weight  int      // share of the requests, of Whole
	Headers []string // of the response, which are compared besides status and body
}

// States of a canary.
const (
	CanaryRunning    = "running"
	CanaryPromoted   = "promoted"
	CanaryRolledBack = "rolled back"
	CanaryEnded      = "ended" // by another change of the service
)

// Canary is the trial of a version, running or the last one that has ended. The zero value is none.
type Canary struct {
	Number  Number // of the version on trial
	Against Number // of the version that it is compared with
	Weight  int    // its share while it runs, of Whole
	State   string
	Reason  string // why it has ended
	Began   time.Time
	Ends    time.Time // when it is promoted
	Ended   time.Time // zero while it runs
	Rules   CanaryRules
}

// CanaryRules decide the end of a canary. The catalogue does not interpret them.
type CanaryRules struct {
	MinRequests int     // of the version on trial, before anything is decided
	MaxErrors   float64 // by how much its share of errors may exceed that of the other version, such as 0.01
	MaxLatency  float64 // how many times its p95 may be that of the other version, such as 1.5
}

// Running reports whether the canary is running.
func (c Canary) Running() bool { return c.State == CanaryRunning }

// End returns a running canary as one that has ended, and any other one unchanged.
func (c Canary) End(state, reason string, now time.Time) Canary {
	if c.Running() {
		c.State, c.Reason, c.Ended = state, reason, now.UTC().Round(0)
	}
	return c
}

// replaced returns the canary after v has become the current version, with all requests.
func (c Canary) replaced(v Version) Canary {
	if v.Number == c.Number {
		return c.End(CanaryPromoted, "it was given all requests", v.Deployed)
	}
	return c.End(CanaryEnded, fmt.Sprintf("all requests went to version %d", v.Number), v.Deployed)
}

// Weight returns the share of a version in the requests, of Whole.
func (s Service) Weight(n Number) int {
	if len(s.Split.Arms) == 0 && n == s.Current.Number {
		return Whole
	}
	for _, arm := range s.Split.Arms {
		if arm.Number == n {
			return arm.Weight
		}
	}
	return 0
}

// Live returns the numbers of the versions that get requests: the current one, the other arms of the split, and that of the
// mirror.
func (s Service) Live() []Number {
	live := []Number{s.Current.Number}
	for _, arm := range s.Split.Arms {
		if arm.Number != s.Current.Number {
			live = append(live, arm.Number)
		}
	}
	if n := s.Mirror.Number; n != 0 && !slices.Contains(live, n) {
		live = append(live, n)
	}
	return live
}

// Staging returns the service with v as a version that gets no requests, and that version. If one has the content of v, it is
// that one, unchanged. v's generation is set.
func (s Service) Staging(v Version) (Service, Version) {
	v = readBack(v)
	if n := s.numberOf(v); n != 0 {
		have, _ := s.Numbered(n)
		return s, have
	}
	s.Last++
	v.Number, v.Staged = s.Last, true
	s.History = append([]Version{v}, s.History...)
	return s, v
}

// Switch returns the service with the version n as the current one, in generation g. It gets all requests, and the version
// that it replaces moves to the front of the history.
func (s Service) Switch(n Number, g Generation, now time.Time) (Service, error) {
	v, ok := s.Numbered(n)
	if !ok {
		return s, s.Unknown(n)
	}
	v.Generation, v.Deployed = g, now
	return s.With(s.Key, v), nil
}

// WithSplit returns the service with a split. If the current version has no share in it, the one with the largest share
// becomes the current one, in generation g. A split with one arm switches to it. It ends a mirror.
func (s Service) WithSplit(split Split, g Generation, now time.Time) (Service, error) {
	split.Arms = slices.Clone(split.Arms)
	slices.SortFunc(split.Arms, func(a, b Arm) int { return cmp.Compare(a.Number, b.Number) })
	for _, arm := range split.Arms {
		if _, ok := s.Numbered(arm.Number); !ok {
			return s, s.Unknown(arm.Number)
		}
	}
	largest := slices.MaxFunc(split.Arms, func(a, b Arm) int { return cmp.Compare(a.Weight, b.Weight) }).Number
	canary := s.Canary.End(CanaryEnded, "the split was changed", now)
	if len(split.Arms) == 1 && largest == canary.Number {
		canary = s.Canary.End(CanaryPromoted, "it was given all requests", now)
	}
	if !slices.ContainsFunc(split.Arms, func(a Arm) bool { return a.Number == s.Current.Number }) {
		next, err := s.Switch(largest, g, now)
		if err != nil {
			return s, err
		}
		s = next
	}
	s.Canary = canary
	if s.Split = split; len(split.Arms) == 1 {
		s.Split = Split{}
	}
	s.Mirror = Mirror{}
	return s, nil
}

// Trimmed returns the service without the versions that exceed a bound. Those with a share of the requests, and the one to
// which a rollback returns, are kept.
func (s Service) Trimmed() Service {
	live := s.Live()
	var kept extent
	kept.add(s.Current)
	history := make([]Version, 0, len(s.History))
	previous := false
	for _, v := range s.History {
		needed := slices.Contains(live, v.Number) || s.Canary.Running() && v.Number == s.Canary.Number
		if !previous && !v.Staged {
			needed, previous = true, true
		}
		if with := kept.with(v); needed || !with.exceeded() && len(history) < MaxHistory {
			kept = with
			history = append(history, v)
		} else {
			kept = with // what follows is older
		}
	}
	if s.History = history; len(history) == 0 {
		s.History = nil // as it will be read back
	}
	return s
}

// extent is what the versions of a service occupy.
type extent struct {
	counted       map[Digest]bool
	blobBytes     int64
	manifestBytes int
}

func (e *extent) add(v Version) {
	if e.counted == nil {
		e.counted = make(map[Digest]bool)
	}
	for _, b := range v.Blobs {
		if !e.counted[b.Digest] {
			e.counted[b.Digest] = true
			e.blobBytes += b.SizeBytes
		}
	}
	e.manifestBytes += len(v.Manifest)
}

// with returns the extent with another version. It takes e over.
func (e extent) with(v Version) extent {
	e.add(v)
	return e
}

func (e extent) exceeded() bool {
	return e.blobBytes > MaxVersionBytes || e.manifestBytes > MaxManifestBytes
}

// checkTraffic returns the first rule that split, mirror or canary break.
func (s Service) checkTraffic() error {
	sum, last := 0, Number(0)
	for _, arm := range s.Split.Arms {
		if _, ok := s.Numbered(arm.Number); !ok || arm.Number <= last || arm.Weight < 1 {
			return fmt.Errorf("the split has the version %d, which is unknown, there twice or without a share", arm.Number)
		}
		last = arm.Number
		sum += arm.Weight
	}
	switch arms := len(s.Split.Arms); {
	case arms == 0:
		if s.Split.Sticky != (Sticky{}) {
			return fmt.Errorf("a split without arms is sticky")
		}
	case arms == 1 || arms > MaxArms || sum != Whole || s.Weight(s.Current.Number) == 0:
		return fmt.Errorf("the split has %d arms and a sum of %d, or none for the current version", arms, sum)
	}
	if m := s.Mirror; m.Number != 0 {
		if _, ok := s.Numbered(m.Number); !ok || m.Weight < 1 || m.Weight > Whole || s.Weight(m.Number) > 0 {
			return fmt.Errorf("the mirror has the version %d, which is unknown or serves, and a share of %d", m.Number, m.Weight)
		}
	}
	if c := s.Canary; c.Running() && (s.Weight(c.Number) == 0 || s.Weight(c.Against) == 0 || c.Number == c.Against) {
		return fmt.Errorf("the canary %d against %d is running without a share", c.Number, c.Against)
	}
	return nil
}
