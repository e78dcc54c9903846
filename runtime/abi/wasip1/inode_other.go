//go:build !unix

package wasip1

import "io/fs"

// identity returns nothing: FileInfo has no inode numbers on this system.
func identity(fs.FileInfo) (device, number uint64, ok bool) { return 0, 0, false }
