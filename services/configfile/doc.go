// Package configfile reads the server's configuration file, vespo.toml, and tells when it, or a module that it names, may have changed.
//
// The file is TOML: a table [server] with settings, whose meaning is the caller's, and a table [[service]] for each service, with the
// fields of the management API and the path of a module. Everything that is wrong is found at once, each with its line.
//
// # Concurrency
//
// A File is immutable. A Watcher is used by one goroutine; the one that it starts ends with Close.
package configfile
