//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

// terminalCommand is only implemented on Linux. Scripts that use it have the condition linux.
func terminalCommand(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("terminals are opened on Linux only")
}
