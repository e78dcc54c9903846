//go:build !unix

package codecache

import "io/fs"

// diskBytes is about what a file takes of the disk: whole clusters.
func diskBytes(info fs.FileInfo) int64 { return (info.Size() + 4095) / 4096 * 4096 }
