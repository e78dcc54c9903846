package mesh

import (
	"fmt"
	"os"
	"strings"

	"github.com/vespo-dev/vespo/internal/regular"
)

// maxTableBytes bounds the table of connections: 150 bytes for each.
const maxTableBytes = 16 << 20

// socketOf returns the inode of the socket of this machine that is connected from a port of 127.0.0.1; empty if there is
// none. It reads the tables of Linux.
func socketOf(port int) string {
	table, err := regular.ReadFile("/proc/net/tcp", maxTableBytes)
	if err != nil {
		return ""
	}
	local := fmt.Sprintf("0100007F:%04X", port)
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 9 && fields[1] == local && fields[9] != "0" {
			return fields[9]
		}
	}
	return ""
}

// owns reports whether a process has a socket.
func owns(pid int, inode string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if target, err := os.Readlink(dir + "/" + e.Name()); err == nil && target == "socket:["+inode+"]" {
			return true
		}
	}
	return false
}
