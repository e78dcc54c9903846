// Package conformance contains tests with third-party clients, test kits and a browser, one package for
// each family. They build the real vespo command, run it, and let the clients connect to it.
// It is a module of its own, so that the server does not depend on the clients' dependencies.
//
//	cd conformance && GOWORK=off go test ./...
package conformance
