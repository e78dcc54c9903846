// Package queues defines the store of the requests of durable queues, in an engine that several hosts share. Any host puts
// requests into it, hands them out to its workers, stores answers, and reads results.
//
// A request ends once: answered, failed by its deadline or its last lease, or left by its client. Every hand-out has a lease
// with an id of its own. An answer counts only while its lease lasts, by the clock of the engine.
package queues
