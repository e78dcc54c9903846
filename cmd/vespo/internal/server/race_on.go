//go:build race

package server

// slowdown is how much longer compiling takes with the race detector, in the child process too.
const slowdown = 10
