package filestore

import (
	"time"

	"github.com/vespo-dev/vespo/registry"
)

// trafficV4 is how the requests of a service are divided.
type trafficV4 struct {
	Split  []armV4   `json:"split,omitempty"`
	Sticky *stickyV4 `json:"sticky,omitempty"`
	Mirror *mirrorV4 `json:"mirror,omitempty"`
	Canary *canaryV4 `json:"canary,omitempty"`
}

type armV4 struct {
	Number uint64 `json:"number"`
	Weight int    `json:"weight"` // of 1000
}

type stickyV4 struct {
	Header string `json:"header,omitempty"`
	Cookie string `json:"cookie,omitempty"`
}

type mirrorV4 struct {
	Number  uint64   `json:"number"`
	Weight  int      `json:"weight"` // of 1000
	Headers []string `json:"headers,omitempty"`
}

type canaryV4 struct {
	Number      uint64    `json:"number"`
	Against     uint64    `json:"against"`
	Weight      int       `json:"weight"` // of 1000
	State       string    `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	Began       time.Time `json:"began"`
	Ends        time.Time `json:"ends,omitzero"`
	Ended       time.Time `json:"ended,omitzero"`
	MinRequests int       `json:"min_requests"`
	MaxErrors   float64   `json:"max_errors"`
	MaxLatency  float64   `json:"max_latency"`
}

func fromTraffic(s registry.Service) (out trafficV4) {
	for _, arm := range s.Split.Arms {
		out.Split = append(out.Split, armV4{Number: uint64(arm.Number), Weight: arm.Weight})
	}
	if s.Split.Sticky != (registry.Sticky{}) {
		out.Sticky = &stickyV4{Header: s.Split.Sticky.Header, Cookie: s.Split.Sticky.Cookie}
	}
	if m := s.Mirror; m.Number != 0 {
		out.Mirror = &mirrorV4{Number: uint64(m.Number), Weight: m.Weight, Headers: m.Headers}
	}
	if c := s.Canary; c.Number != 0 {
		out.Canary = &canaryV4{
			Number:      uint64(c.Number),
			Against:     uint64(c.Against),
			Weight:      c.Weight,
			State:       c.State,
			Reason:      c.Reason,
			Began:       c.Began,
			Ends:        c.Ends,
			Ended:       c.Ended,
			MinRequests: c.Rules.MinRequests,
			MaxErrors:   c.Rules.MaxErrors,
			MaxLatency:  c.Rules.MaxLatency,
		}
	}
	return out
}

// addTo adds the traffic to a service.
func (t trafficV4) addTo(s *registry.Service) {
	for _, arm := range t.Split {
		s.Split.Arms = append(s.Split.Arms, registry.Arm{Number: registry.Number(arm.Number), Weight: arm.Weight})
	}
	if t.Sticky != nil {
		s.Split.Sticky = registry.Sticky{Header: t.Sticky.Header, Cookie: t.Sticky.Cookie}
	}
	if m := t.Mirror; m != nil {
		s.Mirror = registry.Mirror{Number: registry.Number(m.Number), Weight: m.Weight, Headers: m.Headers}
	}
	if c := t.Canary; c != nil {
		s.Canary = registry.Canary{
			Number:  registry.Number(c.Number),
			Against: registry.Number(c.Against),
			Weight:  c.Weight,
			State:   c.State,
			Reason:  c.Reason,
			Began:   c.Began.UTC(),
			Ends:    c.Ends.UTC(),
			Ended:   c.Ended.UTC(),
			Rules:   registry.CanaryRules{MinRequests: c.MinRequests, MaxErrors: c.MaxErrors, MaxLatency: c.MaxLatency},
		}
	}
}
