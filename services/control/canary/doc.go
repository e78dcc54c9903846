// Package canary watches versions on trial: it counts the requests of each arm, and ends the trial when the new version is
// worse than the other one, or when its time is over.
//
// [Judge.Listen] is a listener of the access records. Without a running canary it loads one pointer. [Decide] is the
// decision, and pure.
//
// # Concurrency
//
// Counters are atomic. Judge.Run is the only writer of the table of trials, which is immutable; it runs on its caller's
// goroutine. The package has no locks.
package canary
