// Package server builds and runs a server: its configuration, listeners, outputs and the components that it connects.
//
// wire.go builds the object graph. All that a server opens, and every goroutine that it starts, is a part in one list.
// The list closes the parts last in, first out, on every path (package parts).
package server
