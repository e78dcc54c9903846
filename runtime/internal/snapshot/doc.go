// Package snapshot restores a guest's linear memory, in place, to its contents after
// the guest's initialisation.
//
// A Restorer captures a memory once as an Image, maps the image over any number of cells, and after each
// request resets the cell used by the guest. The method to find the written pages depends on the system:
//
//   - pagemap_scan (Linux 6.7 and later): the kernel reports the host pages that are private to the cell; only these
//     are copied back or cleared. It takes a few microseconds, changes no mapping and does not allocate.
//   - madvise (older Linux, or /proc is unavailable): private host pages are discarded and faulted in again.
//   - copy (other systems): the whole image is copied and the remaining touched memory is cleared.
//
// RATIONALE.md in this directory has the reasons.
//
// Lock order: Restorer.mu is a leaf; Reset and Decommit do not take it.
package snapshot
