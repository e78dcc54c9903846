//go:build !unix

package server

// descriptorLimit reports that there is no limit on open files.
func descriptorLimit() (uint64, bool) { return 0, false }
