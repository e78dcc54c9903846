// Package router takes every request of the public listener to the service that is bound to the longest matching prefix
// of its path, and answers for what becomes of it: one place that waits, one answer, one access record.
//
// A request finds its way through one atomic pointer to an immutable Table. The Route found there is pinned until the
// handler has returned, so that a Route that was taken out of the table and retired can be waited for.
//
// The handler learns what matched from the access record: Record.Prefix and Record.Rest.
//
// Lock order: the package has no locks of its own; admission.Gate has the only one below it.
package router
