// Package server builds and runs a server: its configuration, listeners, outputs and the components that it connects.
//
// wire.go builds the object graph. A server owns all goroutines that it starts, and waits for them when it stops.
package server
