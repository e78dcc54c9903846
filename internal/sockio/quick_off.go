//go:build !linux || race

package sockio

// quick is set if New uses the system calls of this package. Package net tells the race detector that a read comes after the
// write at the other end, which tests need.
const quick = false
