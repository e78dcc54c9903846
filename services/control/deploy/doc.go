// Package deploy is the only writer of the catalogue and of the route table. It adds, removes and rolls back
// services as transactions, replays the catalogue at start, scales idle services to zero and drains replaced
// versions.
//
// Add, Change, Remove, Rollback, Apply and Transact are transactions: lists of changes that take the steps below
// together. Records of the catalogue change with them, and need no preparation. A failure at any step leaves
// catalogue and table unchanged and releases the prepared deployments:
//
//	validate -> claim -> plan -> store blobs, prepare -> writer lock -> plan -> build table -> commit -> publish -> unlock -> drain and close the old
//	                                                                                             ^ the point of no return: later steps cannot fail
//
// Package plan decides: it maps the changes and the current state to the next state and to the services that
// differ. Only those are claimed and prepared, in parallel. A commit succeeds only on the state of its plan. If
// another writer of the catalogue was first, the transaction is planned again, at most maxPlans times, and keeps the
// prepared deployments that the new plan needs as well.
//
// A service can have several live versions: the arms of a split, and the version of a mirror. Each is prepared, drained and
// scaled by itself; the table has one route for all, which chooses an arm. A change of the weights prepares only versions that
// did not serve before.
//
// Adopt takes the same steps to a state that was decided elsewhere, such as on another host. It plans nothing: it compares
// that state with what is served, claims and prepares what differs, and commits unless the store has the state already. A
// version that this host cannot prepare is unavailable, and does not stop the others.
//
// A rollback has the blobs of an earlier version. At start, the services of the catalogue are published in the state
// "starting", and then prepared in parallel. Each takes the steps from "writer lock" to "publish" without a plan and
// without a commit.
//
// # Concurrency
//
// A transaction claims the prefixes that it touches before it reads the catalogue and holds the claim until it is
// published, so it always replaces the versions that it was prepared against. Changes of different services run in
// parallel. Compilation is bounded by PrepareParallel turns. Waiting for a claim or a turn is bounded in time by the
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
