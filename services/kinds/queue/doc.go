// Package queue is the kind of service whose requests wait
// until external processes, its workers, fetch and answer them.
//
// # Workers
//
// Workers speak Prack's protocol, on a separate listener that is open while there is a queue:
//
//	GET  /api/v1/request             take a request of the default queue, waiting up to 5 s for one: 200, or 404
//	POST /api/v1/response            answer a request: 200; 404 if it is not waiting for this answer
//	GET  /api/v1/{service}/request   the same for the queue with this prefix
//	POST /api/v1/{service}/response
//
// An answer can also be posted to .../request. {service} is the prefix without its
// first slash: jobs, a/b or a%2Fb. For the prefix / it is %2F. Messages are those of
// package prack. Every response other than a request has a member error or message.
//
// # Versions
//
// All versions at a prefix share one line, because workers know services and not versions. Requests
// to a version that was replaced, rolled back or removed are handed out and answered until that
// version is closed. Terms, such as the timeout, are those of the version that received the request.
//
// # Lock order
//
// Kind.life, Kind.mu, line.mu. The store has locks of its own, below all of them.
package queue
