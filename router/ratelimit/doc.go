// Package ratelimit limits the rate of the requests of a service, for each client, for each value of a header field, or
// for all together.
//
// The algorithm is GCRA (the generic cell rate algorithm, which is a token bucket with one number per key): a request
// moves the key's time by the period of one request, and is refused if that would be further ahead of now than a full
// burst. Keys are kept in a table of fixed size, and a Space bounds those of all tables. One whose burst is full again says
// no more than a missing one, so those make room for others. If all keys of a part of the table are in use, or the space has
// no place, further keys of the part share one bucket.
//
// A decision waits for nothing but the lock of a part of the table, which is held for a few operations on memory.
//
// A Sharing makes the counts those of several hosts, by an Engine.
//
// Lock order: shard.mu, Space.mu and Sharing.mu are leaves.
package ratelimit
