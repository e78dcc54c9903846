package server

import (
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vespo-dev/vespo/internal/regular"
)

// maxGroupBytes limits the files that describe control groups.
const maxGroupBytes = 64 << 10

// releaseZeros returns the memory of zeros to the system. They are zeros again when they are read. The error is ignored: a
// system with large host pages may refuse.
func releaseZeros(zeros []byte) { _ = unix.Madvise(zeros, unix.MADV_DONTNEED) }

// machineBytes returns the memory that the server can have: that of the machine, or of its control group if that is
// smaller. 0: unknown.
func machineBytes() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	least := int64(info.Totalram) * int64(info.Unit) //nolint:unconvert // its type differs between architectures
	groups, err := regular.ReadFile("/proc/self/cgroup", maxGroupBytes)
	if err != nil {
		return least
	}
	return min(least, groupBytes(string(groups), func(group string) ([]byte, error) {
		return regular.ReadFile(path.Join("/sys/fs/cgroup", group, "memory.max"), maxGroupBytes)
	}))
}

// groupBytes returns the least limit of a control group of version 2 and those above it.
func groupBytes(groups string, read func(group string) ([]byte, error)) int64 {
	least := int64(1<<63 - 1)
	for line := range strings.Lines(groups) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for ; ; group = path.Dir(group) {
			if limit, err := read(group); err == nil { // the root has none
				if n, err := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil { // else "max"
					least = min(least, n)
				}
			}
			if group == "/" || group == "." {
				break
			}
		}
	}
	return least
}
