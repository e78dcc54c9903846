// Package usage sums up what the requests of each service and version cost, by the hour, and keeps the sums on disk.
//
// # Cost
//
// Requests cost nothing here: package tally counts them. Every [Interval], [Ledger.Flush] writes what the counters have gained,
// in one transaction. A server that is killed loses what came after the last one. If the disk fails, the gains wait for the
// next attempt.
//
// # Hours
//
// A gain counts for the hour, in UTC, in which most of its interval lies by the clock of the machine. Intervals end at multiples
// of their length, so an hour has the requests that end in it, give or take a late timer. Sums are only added to. If
// the clock is set back, an hour gains more; if it is set forward, hours are left out. Nothing is lost or counted twice.
//
// # Bounds
//
// Hours older than [Keep] are removed, and the oldest ones before that if the file would exceed its size. At most
// [removals] hours go at a time, once in an hour, so a clock that is far ahead for a while costs only the oldest days.
//
// Services come from the catalogue: their names are keys of routes. The sums of removed services stay.
//
// # Locks
//
// Ledger.flushing is held while the disk works. No request waits for it.
package usage
