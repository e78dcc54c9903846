//go:build !unix

package main

// descriptorLimit reports that there is no limit on open files.
func descriptorLimit() (uint64, bool) { return 0, false }
