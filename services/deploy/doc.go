// Package deploy is the one writer of the catalogue and of the route table: it adds, removes and rolls back services
// as transactions, replays the catalogue at start, scales idle services to zero and drains what is replaced.
//
// A deploy goes through these steps; a failure at any of them leaves catalogue and table as they were and gives back
// what was prepared:
//
//	validate -> writer lock -> store blob -> prepare -> build table -> commit -> publish -> unlock -> drain and close the old
//	                                                                  ^ the point of no return: nothing after it can fail
//
// A rollback is the same path with the blob of an earlier version, a boot is the same path from "prepare" on.
//
// # Concurrency
//
// The writer lock is held through a whole transaction, compilation included; waiting for it is bounded in time by the
// caller's context and in number by Config.MaxWaiters. mu guards the map of what is live and is held for moments
// only. A live service's scaleMu keeps Scale and Close of its deployment apart.
//
// Lock order: writer lock, then mu; writer lock, then the registry's locks; scaleMu is taken with neither held. No
// lock but the writer lock is held while a Kind's code runs, scaleMu excepted during Scale.
//
// Goroutines: one for each retired deployment, from its replacement to its close; [Deployer.Close] waits for all. The
// idle loop runs on its caller's goroutine.
package deploy
