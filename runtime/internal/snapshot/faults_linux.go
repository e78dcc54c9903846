package snapshot

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// ThreadFaults returns the total number of page faults of the calling thread. The
// caller must have locked its OS thread.
func ThreadFaults() int64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		panic("snapshot: getrusage fails, which has worked: " + err.Error())
	}
	return usage.Minflt + usage.Majflt
}

// countsFaults returns an error unless the kernel counts each fault for its thread: for
// the first write to a page, and for the first write to a page that was only read.
func countsFaults() (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		return err
	}
	page := unix.Getpagesize()
	cell, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Munmap(cell)) }()
	if err := refuseHugePages(cell); err != nil {
		return err
	}
	sum := cell[page] // read only
	for i := range 2 {
		before := ThreadFaults()
		cell[i*page] = sum + 1
		if ThreadFaults() == before {
			return fmt.Errorf("the kernel did not count the fault of a first write")
		}
	}
	return nil
}
