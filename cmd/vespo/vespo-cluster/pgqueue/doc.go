// Package pgqueue keeps the requests of durable queues in PostgreSQL, for several hosts. It implements queues.Store.
//
// Every operation is one statement that calls a function, and commits when it returns. A request is a row of queue_requests:
//
//	0 waiting ──queue_take──▶ 1 leased ──queue_answer──▶ 2 ended
//	    ▲  └─ deadline ─────────│──────────────────────────▲
//	    └── the lease ends, or queue_give_back             └ or the last lease ends
//
// queue_counts has what a queue holds, in several rows, so that commits of one queue do not wait for each other. A function
// changes it last, and locks one row of it, so no two functions wait for each other in a circle.
//
// Accepted events (events.Store) are rows of event_events, which any host leases when they are due. They are deleted when they end.
//
// Hosts tell each other of changes by LISTEN and NOTIFY, in statements of their own: a commit with a notification would wait
// for all others. Notifications can be lost, so users of the store also look now and then.
package pgqueue
