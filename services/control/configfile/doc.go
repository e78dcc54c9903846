// Package configfile reads the server's configuration file, vespo.toml, and reports when it, or a module that
// it refers to, may have changed.
//
// The file is TOML. A table [server] holds settings, which the caller interprets. Each service has a table
// [[service]] with the fields of the management API and the path of its module. All violations are found at
// once, each with its line.
//
// # Concurrency
//
// A File is immutable. A Watcher is used by one goroutine; the one that it starts ends with Close.
package configfile
