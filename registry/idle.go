package registry

import "time"

// Usage is what the decision about an idle service looks at.
type Usage struct {
	LastUsed time.Time // end of the last request, or when the version became current if that is later
	Warm     int       // instances that hold a slot
	Compiled bool      // compiled code is loaded
	InFlight int       // requests being served
}

// IdlePolicy says how long a service may be unused before it gives something back. Zero or less means never.
type IdlePolicy struct {
	Idle      time.Duration // then slots and instances
	EvictCode time.Duration // then the compiled code, and slots and instances with it
}

// Action is what is to be done about a service that is idle.
type Action int

// The actions, from the mildest on; EvictCode includes ReleaseSlots.
const (
	None Action = iota
	ReleaseSlots
	EvictCode
)

// DecideIdle decides about one service. Beside the action it says when to ask again: the earliest time at which the
// answer can be another one, given what is known now and the action taken; the zero time means not before the service
// is used again.
func DecideIdle(now time.Time, u Usage, p IdlePolicy) (Action, time.Time) {
	used := u.LastUsed
	if u.InFlight > 0 || used.After(now) {
		used = now // in use; or the clock was set back, and the wait begins anew
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

// due says when a step is to be taken, and whether it is to be at all; the time is zero where it is not.
func due(used time.Time, after time.Duration, has bool) (time.Time, bool) {
	if after <= 0 || !has {
		return time.Time{}, false
	}
	return used.Add(after), true
}
