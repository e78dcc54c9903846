package registry

import "time"

// Usage is the input of the decision about an idle service.
type Usage struct {
	LastUsed time.Time // end of the last request, or the time the version became current if later
	Warm     int       // instances that hold a slot
	Compiled bool      // compiled code is loaded
	InFlight int       // requests being served
}

// IdlePolicy configures how long a service may be unused before it releases resources. Zero or less means
// never.
type IdlePolicy struct {
	Idle      time.Duration // then release slots and instances
	EvictCode time.Duration // then release the compiled code, and also slots and instances
}

// Action is the action for an idle service.
type Action int

// The actions, mildest first. EvictCode includes ReleaseSlots.
const (
	None Action = iota
	ReleaseSlots
	EvictCode
)

// DecideIdle returns the action for one service and the time to ask again: the earliest time at which the
// answer can change, given the current usage and the returned action. The zero time means not before the
// service is used again.
func DecideIdle(now time.Time, u Usage, p IdlePolicy) (Action, time.Time) {
	used := u.LastUsed
	if u.InFlight > 0 || used.After(now) {
		used = now // in use; or the clock was set back, and the wait starts again
	}
	releaseAt, releases := due(used, p.Idle, u.Warm > 0 || u.InFlight > 0)
	evictAt, evicts := due(used, p.EvictCode, u.Compiled || u.InFlight > 0)
	switch {
	case evicts && !evictAt.After(now):
		return EvictCode, time.Time{}
	case releases && !releaseAt.After(now):
		return ReleaseSlots, evictAt
	case releases && (!evicts || releaseAt.Before(evictAt)):
		return None, releaseAt
	}
	return None, evictAt
}

// due returns the time of a step and whether the step is needed. The time is zero if it is not.
func due(used time.Time, after time.Duration, has bool) (time.Time, bool) {
	if after <= 0 || !has {
		return time.Time{}, false
	}
	return used.Add(after), true
}
