//go:build !unix

package files

import "io/fs"

// Identity returns nothing: FileInfo has no inode numbers on this system.
func Identity(fs.FileInfo) (device, number uint64, ok bool) { return 0, 0, false }
