package scheduler

import (
	"time"

	"github.com/vespo-dev/vespo/services/schedule"
)

// Triggers of runs.
const (
	TriggerSchedule = "schedule" // its time came
	TriggerLate     = "late"     // a time that was missed
	TriggerManual   = "manual"   // a user
)

// Outcomes of runs.
const (
	OutcomeRunning     = "running"
	OutcomeOK          = "ok"          // a status below 400
	OutcomeFailed      = "failed"      // any other status, or no complete answer
	OutcomeInterrupted = "interrupted" // the server ended meanwhile
)

// Record describes one run.
type Record struct {
	Time      time.Time `json:"time"` // of the schedule; of a manual run, when it started
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended,omitzero"`
	Trigger   string    `json:"trigger"`
	Outcome   string    `json:"outcome"`
	Status    int       `json:"status,omitempty"`
	Detail    string    `json:"detail,omitempty"` // why it failed, in words fit for a client
	RequestID string    `json:"request_id,omitempty"`
}

// Counts are numbers of a schedule since it was added.
type Counts struct {
	Runs    uint64 `json:"runs"`
	Failed  uint64 `json:"failed"`  // of these
	Skipped uint64 `json:"skipped"` // times that came during a run
	Missed  uint64 `json:"missed"`  // times that passed without a run, such as while the server was stopped
}

// kept is what is stored of a schedule.
type kept struct {
	Handled time.Time `json:"handled"` // no time up to this one runs again
	Counts
	Last *Record `json:"last,omitempty"`
}

// Status describes a schedule and its runs.
type Status struct {
	Schedule *schedule.Schedule
	Next     time.Time // the zero time if there is none
	Running  bool
	Waiting  bool // for its turn to run
	Counts
	Last *Record // nil before the first run
}
