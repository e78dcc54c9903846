// Package deploy is the only writer of the catalogue and of the route table. It adds, removes and rolls back
// services as transactions, replays the catalogue at start, scales idle services to zero and drains replaced
// versions.
//
// A deploy takes the steps below. A failure at any of them leaves catalogue and table unchanged and releases
// the prepared deployment:
//
//	validate -> claim -> store blobs -> prepare -> writer lock -> build table -> commit -> publish -> unlock -> drain and close the old
//	                                                                              ^ the point of no return: later steps cannot fail
//
// A rollback takes the same steps with the blobs of an earlier version. At start, the Deployer publishes a
// table with all services in the state "starting", prepares them in parallel and replaces each by its
// prepared version, without a commit.
//
// # Concurrency
//
// A change claims its prefixes before it reads the catalogue and holds the claim until it is published, so it
// always replaces the version that it was prepared against. Changes of different services run in parallel.
// Compilation is bounded by PrepareParallel turns. Waiting for a claim or a turn is bounded in time by the
// caller's context, and in number by Config.MaxWaiters. The writer lock is held from building the table to
// publishing it: one commit at a time, and no compilation. mu guards the live versions and is held only
// briefly. The scaleMu of a live service keeps Scale and Close of its deployment apart.
//
// Lock order: claims, turn, writer lock, then mu; writer lock, then the registry's locks; scaleMu is taken
// with no other lock held. Only claims are held while a Kind's code runs, except scaleMu during Scale and the
// writer lock during CheckBeside.
//
// Goroutines: one for each retired deployment, from its replacement to its close, and one for each call of a
// Kind's Prepare. [Deployer.Close] waits for all of them, for Prepare at most CloseTimeout. The workers of
// Start end with it. The idle loop runs on its caller's goroutine.
package deploy
