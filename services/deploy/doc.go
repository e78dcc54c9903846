// Package deploy is the one writer of the catalogue and of the route table: it adds, removes and rolls back services
// as transactions, replays the catalogue at start, scales idle services to zero and drains what is replaced.
//
// A deploy goes through these steps; a failure at any of them leaves catalogue and table as they were and gives back
// what was prepared:
//
//	validate -> claim -> store blobs -> prepare -> writer lock -> build table -> commit -> publish -> unlock -> drain and close the old
//	                                                                              ^ the point of no return: nothing after it can fail
//
// A rollback is the same path with the blobs of an earlier version. A start publishes a table with all services in the state "starting",
// prepares them side by side and exchanges each for the prepared version, without a commit.
//
// # Concurrency
//
// A change holds the claim to its prefixes from before it looks at the catalogue until it is published, so that what it prepares is made
// of what it replaces. Changes of different services go on side by side. Compilation is bounded by PrepareParallel turns; waiting for a
// claim or a turn is bounded in time by the caller's context and in number by Config.MaxWaiters. The writer lock is
// held from the building of the table to its publishing: one commit at a time, and no compilation. mu guards what is live and is held for
// moments only. A live service's scaleMu keeps Scale and Close of its deployment apart.
//
// Order: claims, turn, writer lock, then mu; writer lock, then the registry's locks; scaleMu is taken with none held. No
// lock but a claim is held while a Kind's code runs, scaleMu excepted during Scale and the writer lock during CheckBeside.
//
// Goroutines: one for each retired deployment, from its replacement to its close, and one for each call of a Kind's Prepare;
// [Deployer.Close] waits for all, for the latter CloseTimeout. The workers of Start end with it. The idle loop runs on its caller's goroutine.
package deploy
