package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the processor time used by all threads of a process. The clock id is that of
// clock_getcpuclockid(3): the complement of the process id, with CPUCLOCK_SCHED in the lowest three bits.
func cpuTime(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// tick is the unit of times in /proc/PID/stat, USER_HZ.
const tick = 10 * time.Millisecond

// devTimes returns the processor time of a process, and that of its children that have ended, with theirs.
func devTimes(pid int) (own, children time.Duration, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	_, rest, _ := bytes.Cut(text, []byte(") ")) // the name may have spaces
	fields := strings.Fields(string(rest))
	if len(fields) < 15 {
		return 0, 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	ticks := func(at int) time.Duration {
		n, _ := strconv.ParseInt(fields[at], 10, 64) // of the kernel
		return time.Duration(n) * tick
	}
	return ticks(11) + ticks(12), ticks(13) + ticks(14), nil
}

// cpuTimes returns the processor time of a process and of its children that run.
func cpuTimes(pid int) (time.Duration, error) {
	total, err := cpuTime(pid)
	if err != nil {
		return 0, err
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, err
	}
	for _, thread := range threads {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, thread.Name()))
		if err != nil {
			continue // the thread has ended
		}
		for _, child := range strings.Fields(string(children)) {
			if id, err := strconv.Atoi(child); err == nil {
				if t, err := cpuTimes(id); err == nil { // else it has ended
					total += t
				}
			}
		}
	}
	return total, nil
}

// resident is the resident memory of a process, in bytes.
type resident struct {
	total, anon, file, shmem float64
	// slots is the part that belongs to the slots in use: images of snapshots, and pages written by guests.
	slots float64
}

// rest returns the memory outside of slots.
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

// slotBytes returns the size of the guests' mappings. They differ from all other mappings of a Go
// program: they have no reserved swap space ("nr": the slab), or map a memory file (an image).
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

// kilobytes parses a value like " 1234 kB" and returns bytes.
func kilobytes(s string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(s), " kB"), 64)
	if err != nil {
		return 0
	}
	return n * 1024
}

// field returns the first value of a field in a file of "name : value" lines; empty if there is none.
func field(file, name string) string {
	text, _ := os.ReadFile(file)
	for _, line := range strings.Split(string(text), "\n") {
		if n, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(n) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// firstWord returns the first word of a file; empty if there is none.
func firstWord(file string) string {
	text, _ := os.ReadFile(file)
	word, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return word
}

// descriptors returns the number of open descriptors of a process.
func descriptors(pid int) (float64, error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return float64(len(open)), err
}

// diskBytes returns the disk space of a directory.
func diskBytes(dir string) (total float64, err error) {
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		var stat unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &stat)
		}
		const unit = 512 // of Blocks
		total += unit * float64(stat.Blocks)
		return err
	})
	return total, err
}
