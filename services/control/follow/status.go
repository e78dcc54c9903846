package follow

import (
	"errors"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
)

// The states of a follower.
const (
	Current  = "current"  // it has the last state that the primary has told of
	Behind   = "behind"   // it is about to adopt a newer one
	Lost     = "lost"     // the primary cannot be reached, or a state not adopted: this is tried again
	Stopped  = "stopped"  // the primary's catalogue does not continue the copy
	Starting = "starting" // it has not reached the primary yet
)

// Status describes how far a follower is.
type Status struct {
	Primary           string
	State             string
	Generation        registry.Generation // that this host serves; 0: it has no copy yet
	PrimaryGeneration registry.Generation // as it was last told of; 0: never
	Generations       uint64              // that this host is behind
	Behind            time.Duration       // since this host was last known to be current; 0 while it is, and before the first contact
	LastContact       time.Time           // zero: never since the start
	LastCurrent       time.Time           // when this host was last known to have the primary's state
	Since             time.Time           // of the last change between reached and lost; a Follower leaves it zero
	Unavailable       int                 // services that this host cannot serve
	Adoptions         uint64              // states that were adopted
	Problem           string              // of the last attempt, for the log and management; "" if it succeeded
}

// Status returns the current status.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.status
	s.Primary = f.cfg.Primary.String()
	if s.PrimaryGeneration > s.Generation {
		s.Generations = uint64(s.PrimaryGeneration - s.Generation)
	}
	switch {
	case errors.Is(f.failed, ErrDiverged), errors.Is(f.failed, filestore.ErrNewer):
		s.State = Stopped
	case f.failed != nil:
		s.State = Lost
	case s.LastContact.IsZero():
		s.State = Starting
	case s.Generations > 0:
		s.State = Behind
	default:
		s.State = Current
	}
	if f.failed != nil {
		s.Problem = f.failed.Error()
	}
	if since := time.Since(s.LastCurrent); !s.LastCurrent.IsZero() && (s.State != Current || since > f.wait+f.slack) {
		s.Behind = since
	}
	return s
}

// heard notes an answer of the primary.
func (f *Follower) heard(a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.LastContact, f.status.PrimaryGeneration = a.at, a.generation
}

// current notes that this host serves what the primary had when it answered.
func (f *Follower) current(a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.LastCurrent = a.at
}

func (f *Follower) unavailable() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status.Unavailable
}
