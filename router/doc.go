// Package router dispatches requests of the public listener to services. It selects the
// service with the longest matching path prefix. Every request has one place to wait,
// gets one response and produces one access record.
//
// The router looks requests up in an immutable Table, published through an atomic pointer. The Route
// found is pinned until the handler returns, so callers can wait for a retired Route to drain.
//
// A handler gets a Request, which holds the decisions of the router, and writes its outcome and costs to an
// accesslog.Result. It does not see the rest of the access record.
//
// Lock order: the package has no locks of its own and calls into admission, whose Gate.mu is a leaf.
package router
