// Package pgstore keeps the key-value stores of guests in PostgreSQL, for several hosts.
//
// # Tables
//
// A schema, vespo unless the URL names another one, has the format, a row for each store with its size and last version,
// and a row for each key. Keys are of the type bytea, whose order is that of the bytes. Tables and functions are created
// once, with a lock that other hosts wait for.
//
// # Operations
//
// Each operation is one statement, and so one transaction. Writes are made by the function kv_write. It locks the row of
// the store, so the writes of one store follow each other; it checks everything before its first change. The time is that of
// the engine. kv_write waits for the disk, whatever the role has as synchronous_commit.
//
// Statements have no names in the engine, so poolers such as PgBouncer may be in between, in their modes session and
// transaction. Only the creation of the tables is a transaction of several statements.
//
// A write is sent once, unless the engine has rolled it back. If its answer is lost, it ends with kv.ErrUncertain; if it was
// not sent, or the engine has refused it, with kv.ErrUnavailable. Reads are sent again once.
//
// Deleting a store deletes its row. The goroutine that deletes expired keys, from Open to Close, deletes its keys later.
package pgstore
