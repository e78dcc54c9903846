package codemap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/vespo-dev/vespo/internal/regular"
)

// A read of pagemap has an entry for each host page. This one covers 32 MiB of code.
const (
	entryBytes   = 8
	entryPresent = 1 << 63
	entriesRead  = 8192
)

// Resident returns the bytes of each mapping whose pages this process has in its page table: those of Rss in
// /proc/self/smaps. Pages that only the page cache has do not count. A mapping that was unmapped has an arbitrary result.
func Resident(mappings [][]byte) (residentBytes []int64, err error) {
	f, err := regular.Open("/proc/self/pagemap")
	if err != nil {
		return nil, fmt.Errorf("find the resident part of code: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buffer := make([]byte, entriesRead*entryBytes)
	for _, m := range mappings {
		n, err := presentPages(f, m, buffer)
		if err != nil {
			return nil, fmt.Errorf("find the resident part of code: %w", err)
		}
		residentBytes = append(residentBytes, n*int64(unix.Getpagesize()))
	}
	return residentBytes, nil
}

// presentPages counts the present pages of a mapping, which begins at a page.
func presentPages(pagemap io.ReaderAt, mapping, buffer []byte) (present int64, err error) {
	page := unix.Getpagesize()
	at := int64(address(mapping)) / int64(page) * entryBytes
	for left := (len(mapping) + page - 1) / page * entryBytes; left > 0; {
		entries := buffer[:min(left, len(buffer))]
		if _, err := pagemap.ReadAt(entries, at); err != nil {
			return 0, err
		}
		at, left = at+int64(len(entries)), left-len(entries)
		for ; len(entries) > 0; entries = entries[entryBytes:] {
			if binary.NativeEndian.Uint64(entries)&entryPresent != 0 {
				present++
			}
		}
	}
	return present, nil
}
