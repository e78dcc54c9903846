// Package admission decides when a request may run. A gate of fixed capacity is shared by all
// services. Each service has a concurrency limit and a bounded queue, and the queues take turns.
//
// It is the only place on a request's path that waits for capacity.
//
// Lock order: Gate.mu and Share.mu are leaves: no other lock is taken while one of them is held.
package admission
