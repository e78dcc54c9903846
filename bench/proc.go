package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the processor time that a process has used, in all its threads. The clock's number is what clock_getcpuclockid(3)
// makes of the process's: its complement, and CPUCLOCK_SCHED in the lowest three bits.
func cpuTime(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// resident is the resident memory of a process, in bytes.
type resident struct {
	total, anon, file, shmem float64
	// slots is what of it belongs to the slots in use: images of snapshots, and the pages that guests have written.
	slots float64
}

// rest is all but the slots.
func (r resident) rest() float64 { return r.total - r.slots }

func residentOf(pid int) (r resident, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return r, err
	}
	for _, line := range strings.Split(string(status), "\n") {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "VmRSS":
			r.total = kilobytes(value)
		case "RssAnon":
			r.anon = kilobytes(value)
		case "RssFile":
			r.file = kilobytes(value)
		case "RssShmem":
			r.shmem = kilobytes(value)
		}
	}
	smaps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	r.slots = slotBytes(smaps)
	return r, err
}

// slotBytes adds up the mappings that guests live in, by what no other mapping of a Go program is: memory without reserved swap
// space ("nr"), which is the slab, or a memory file, which is an image.
func slotBytes(smaps []byte) (total float64) {
	var rss float64
	image := false
	lines := bufio.NewScanner(bytes.NewReader(smaps))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		switch {
		case name == "Rss":
			rss = kilobytes(value)
		case name == "VmFlags":
			if image || strings.Contains(value+" ", " nr ") {
				total += rss
			}
		case strings.Contains(name, "-"): // the first line of a mapping
			image = strings.Contains(lines.Text(), "memfd:")
		}
	}
	return total
}

// kilobytes reads a figure like " 1234 kB" and gives bytes.
func kilobytes(s string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(s), " kB"), 64)
	if err != nil {
		return 0
	}
	return n * 1024
}

// field gives the first value of a file of "name : value" lines; empty if there is none.
func field(file, name string) string {
	text, _ := os.ReadFile(file)
	for _, line := range strings.Split(string(text), "\n") {
		if n, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(n) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// firstWord of a file; empty if there is none.
func firstWord(file string) string {
	text, _ := os.ReadFile(file)
	word, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return word
}
