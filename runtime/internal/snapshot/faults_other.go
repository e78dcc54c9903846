//go:build !linux

package snapshot

// ThreadFaults returns 0 on this system. Restorer.WatchesFaults returns false, so it is not used.
func ThreadFaults() int64 { return 0 }
