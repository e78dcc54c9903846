//go:build !linux

package snapshot

import (
	"errors"
	"os"
)

// Scratch is what Reset works with, one for each instance; it has no content on this system.
type Scratch struct{}

// Faultless has nothing to do on this system.
func (*Scratch) Faultless() {}

// Forget has nothing to do on this system.
func (*Scratch) Forget() {}

// Open returns a restorer that copies: this system has neither private mappings that can be asked what was written to
// them, nor a way to throw such pages away.
func Open(Options) (*Restorer, error) {
	m := copyMethod{hostPageBytes: min(os.Getpagesize(), pageBytes)}
	return newRestorer(m, errors.New("snapshot: PAGEMAP_SCAN is a feature of Linux")), nil
}
