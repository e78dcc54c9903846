// Package queue is the kind of service whose requests wait until external processes, its workers, fetch and answer them.
//
// # Workers
//
// Workers speak Prack's protocol, over a listener of their own that is open as long as there is a queue:
//
//	GET  /api/v1/request             take a request of the default queue, waiting up to 5 s for one: 200, or 404
//	POST /api/v1/response            answer a request: 200; 404 if it is not waiting for this answer
//	GET  /api/v1/{service}/request   the same for the queue with this prefix
//	POST /api/v1/{service}/response
//
// An answer can be posted to .../request too. {service} is the prefix without the first slash: jobs, or a/b in plain or as a%2Fb; that
// of the prefix / is %2F. Messages are those of package prack; every answer that is no request has the member error or message.
//
// # Versions
//
// All versions at a prefix share one line, as workers know services and not versions: what came to a version that was replaced, rolled
// back or removed is handed out and answered until that version is closed. Terms, such as the time limit, are those of the version that
// a request came to.
//
// # Lock order
//
// Kind.life, Kind.mu, line.mu. The store has locks of its own, below all of them.
package queue
