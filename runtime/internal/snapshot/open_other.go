//go:build !linux

package snapshot

import (
	"errors"
	"os"
)

// Scratch is the working memory of Reset, one for each instance. It is empty on this system.
type Scratch struct{}

// Faultless does nothing on this system.
func (*Scratch) Faultless() {}

// Forget does nothing on this system.
func (*Scratch) Forget() {}

// Open returns a Restorer that copies. On this system it is not possible to find or
// discard the written pages of a private mapping.
func Open(Options) (*Restorer, error) {
	m := copyMethod{hostPageBytes: min(os.Getpagesize(), pageBytes)}
	return newRestorer(m, errors.New("snapshot: PAGEMAP_SCAN is a feature of Linux")), nil
}
