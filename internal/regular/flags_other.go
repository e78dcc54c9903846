//go:build !unix

package regular

// nonBlocking is 0: on these systems, directories contain no named pipes.
const nonBlocking = 0

func isSpecial(error) bool { return false }
