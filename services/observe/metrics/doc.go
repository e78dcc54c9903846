// Package metrics counts requests, and serves the metrics of a server to Prometheus.
//
// A Group is a table: each of its fields has the description of one metric, and reads its values from a snapshot
// that is taken once for each scrape. The documentation is written from the same table. Requests counts the records
// of requests by service and version. Handler serves a scrape.
//
// # Concurrency
//
// A request takes no lock, and allocates nothing: it finds its series in an immutable map behind an atomic pointer,
// and adds to atomic counters. Requests.mu is held by changes of the catalogue and by scrapes. It is a leaf.
package metrics
