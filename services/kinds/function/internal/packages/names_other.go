//go:build !unix

package packages

// isNotDirectory is false: these systems report that the directory does not exist.
func isNotDirectory(error) bool { return false }
