// Package metrics serves the metrics of a server to Prometheus.
//
// A Group is a table: each of its fields has the description of one metric, and reads its values from a snapshot
// that is taken once for each scrape. The documentation is written from the same table. Requests is the group of the
// requests that package tally counts. Handler serves a scrape.
package metrics
