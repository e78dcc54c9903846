// Package redisstore keeps the key-value stores of guests in Redis or Valkey, for several hosts.
//
// # Keys
//
// All keys of a prefix have the hash tag {PREFIX}, so they are in one slot of a cluster:
//
//	{PREFIX}:stores        hash: "KEYS BYTES" of each store; a store exists while it has a field here
//	{PREFIX}:totals        hash: keys and bytes of all stores, and the last version
//	{PREFIX}:info:STORE    hash: version, expiry, length of the value, and metadata of each key
//	{PREFIX}:values:STORE  hash: value of each key
//	{PREFIX}:order:STORE   sorted set of the keys, all with the score 0: the engine orders them by their bytes
//	{PREFIX}:expiry:STORE  sorted set of the keys that expire, by their time in milliseconds
//
// # Operations
//
// Each operation is one Lua script, which runs alone. A write checks everything before its first change, so it changes all
// or nothing. Scripts take the time from the engine: hosts may disagree about it. The engine loads a script when it does
// not know it, as after SCRIPT FLUSH and a restart.
//
// A write is sent once. If its answer is lost, the write ends with kv.ErrUncertain; if it was not sent, or the engine has
// refused it, with kv.ErrUnavailable. Reads are sent again once.
//
// # Rate limits
//
// Limits keeps the counts of rate limits, by a client of its own.
//
// # Kept answers
//
// Cache keeps answers of services and a log of removals, by a client of its own.
//
// # Durability
//
// Every new connection checks that the engine writes each change to its disk before it answers, and that it evicts
// nothing. Config.Durability turns this off.
//
// # Concurrency
//
// One goroutine deletes expired keys, from Open to Close. There are no locks.
package redisstore
