// Package admission decides when a request may run: a gate of fixed capacity shared by all services, a concurrency
// limit and a bounded queue for each of them, and turns that are fair between services.
//
// It is the only place of a request's way where anything waits for capacity.
//
// Lock order: Gate.mu is the only lock and is a leaf: nothing is called while it is held.
package admission
