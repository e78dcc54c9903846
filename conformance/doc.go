// Package conformance holds tests with other people's clients and kits, one package for each family. They build the real vespo command, run
// it, and let the clients talk to it. It is a module of its own, so that what the clients depend on stays out of the server.
//
//	cd conformance && GOWORK=off go test ./...
package conformance
