// Package tokens makes, keeps and recognises the tokens of clients that manage a server. An Authority makes principals of
// tokens, for the management API and for all else that takes one.
//
// # Form
//
// A token is "vespo_", 40 random characters of 0-9, A-Z and a-z, and a checksum of 6. Scanners of repositories and logs
// find it by the beginning, and the checksum sets it apart from a look-alike without a server. With 238 random bits, it cannot be
// guessed.
//
// # Storage
//
// A Store keeps the tokens in one file: names, scopes, times, and the SHA-256 of each token. A slow hash, as for passwords,
// would add nothing: it makes it expensive to try the likely values, and here all 2^238 are equally likely. It would cost
// every request instead. The file is replaced as a whole: after a crash it has the tokens before a change or after it.
//
// # Concurrency
//
// All methods are safe for concurrent use. Store.mu guards changes and the file; readers load one immutable map. The mutex
// of failures is taken last.
package tokens
