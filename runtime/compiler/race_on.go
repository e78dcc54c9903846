//go:build race

package compiler

// environment is that of a child. With the race detector, a process sleeps for a second before it exits, unless this says otherwise.
func environment() []string { return []string{"GORACE=atexit_sleep_ms=50"} }
