// Package snapshot brings a guest's linear memory back to what it was after the guest's initialisation, in place.
//
// A Restorer captures a memory once as an Image, maps the image over as many cells as are needed, and after each
// request resets the cell that a guest has written to. How it finds what was written depends on the system:
//
//   - pagemap_scan (Linux 6.7 and later): the kernel is asked which host pages are private to the cell by now; just these
//     are copied back or cleared. A few microseconds, no change to any mapping, no allocation.
//   - madvise (older Linux, or where /proc is not to be had): private host pages are thrown away and faulted in again.
//   - copy (other systems): the whole image is copied, the rest of what was touched is cleared.
//
// RATIONALE.md beside this file has the reasons.
//
// Locks: Restorer.mu is a leaf; Reset and Decommit do not take it.
package snapshot
