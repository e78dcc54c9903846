// Package history decides whether what clients have seen of a catalogue with several hosts agrees with the order of its
// commits: no acknowledged change is lost, no refused one is made or served, every host serves committed versions in
// their order, no request fails without an excuse, and each accepted event has run.
package history

// Action is what a change does.
type Action int

// Actions.
const (
	Deploy Action = iota
	RollBack
	Remove
)

func (a Action) String() string { return [...]string{"deploy", "rollback", "removal"}[a] }

// Outcome is what the client of a change was told.
type Outcome int

// Outcomes.
const (
	Acknowledged Outcome = iota
	Refused              // nothing was changed
	Unknown              // no answer, or one that leaves it open
)

// Change is a change as its client has seen it. Began and Ended are counts of a common clock of all clients.
type Change struct {
	Action     Action
	Service    string
	Content    string // identifies what a deploy serves; no two deploys have the same
	Host, Life int    // that was asked; Life is the number of its starts before
	Began      int64
	Ended      int64
	Outcome    Outcome
	Generation int64  // of the answer; 0 if it names none
	Detail     string // of the answer
}

// Sight is a request to a service.
type Sight struct {
	Service    string
	Host, Life int
	Began      int64
	Ended      int64
	Content    string // empty: the service does not exist
	Failure    string // what the client had in place of an answer; empty: none
	Excused    bool   // the host was dead or stopped meanwhile
	NotReady   bool   // the failure says that the host cannot serve the service
	Placed     bool   // other hosts may serve it: a fault of these, or of the network between, excuses a failure
}

// Event is an asynchronous invocation.
type Event struct {
	ID      string
	Outcome Outcome
	Runs    int // that have begun
}

// Commit is a change of one service in the store.
type Commit struct {
	Service    string
	Generation int64
	Content    string // empty: the service is removed
}

// History is all that was seen. Sights of a host are in the order of time, commits in the order of the store.
type History struct {
	Changes []Change
	Sights  []Sight
	Commits []Commit
	Events  []Event
}

// Counts describes a history.
type Counts struct {
	Acknowledged, Refused, Unknown int // changes
	Commits                        int
	Sights                         int
	Excused                        int // failed requests to dead and stopped hosts
	NotReady                       int // failed requests for new services that a host could not get
	Placed                         int // failed requests for services of other hosts
	Accepted, Repeated             int // accepted events, and events with several runs
}

// Counts returns the counts of the history.
func (h *History) Counts() (c Counts) {
	for _, x := range h.Changes {
		switch x.Outcome {
		case Acknowledged:
			c.Acknowledged++
		case Refused:
			c.Refused++
		case Unknown:
			c.Unknown++
		}
	}
	for _, s := range h.Sights {
		switch {
		case s.Failure == "":
		case s.Excused:
			c.Excused++
		case s.Placed:
			c.Placed++
		case s.NotReady:
			c.NotReady++
		}
	}
	for _, e := range h.Events {
		if e.Outcome == Acknowledged {
			c.Accepted++
		}
		if e.Runs > 1 {
			c.Repeated++
		}
	}
	c.Commits, c.Sights = len(h.Commits), len(h.Sights)
	return c
}
