// Package admission decides when a request may run. A gate of fixed capacity is shared by all
// services. Each service has a concurrency limit and a bounded queue, and the queues take turns.
//
// It is the only place on a request's path that waits for capacity.
//
// Places that were given out stay with the processor that used them (package spare), and its next request takes no lock. They
// count as given out until a request elsewhere lacks one, which collects them. Limits hold exactly.
//
// Lock order: Gate.mu and Share.mu are leaves: no other lock is taken while one of them is held.
package admission
