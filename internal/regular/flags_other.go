//go:build !unix

package regular

// nonBlocking is nothing: these systems have no named pipes among their files.
const nonBlocking = 0

func isSpecial(error) bool { return false }
