package proof

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tick is the unit of CPU time in /proc.
const tick = 10 * time.Millisecond

// usage is what a process and its children have used.
type usage struct {
	cpu      time.Duration
	resident int64 // bytes
}

// used reads the usage of a process, with those of its children that run or have ended.
func used(t *testing.T, pid int) (u usage) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if os.IsNotExist(err) {
		return u // a child that has ended
	}
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	for _, field := range fields[11:15] { // of the process and of children that have ended
		ticks, err := strconv.ParseInt(field, 10, 64)
		require.NoError(t, err)
		u.cpu += time.Duration(ticks) * tick
	}
	pages, err := strconv.ParseInt(fields[21], 10, 64)
	require.NoError(t, err)
	u.resident = pages * int64(os.Getpagesize())
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(children)) {
		number, err := strconv.Atoi(child)
		require.NoError(t, err)
		c := used(t, number)
		u.cpu += c.cpu
		u.resident += c.resident
	}
	return u
}

func (h *host) used() usage { return used(h.t, h.cmd.Process.Pid) }
