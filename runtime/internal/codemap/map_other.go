//go:build !linux

package codemap

import (
	"errors"
	"os"
)

// Map returns an error.
func (f *File) Map() ([]byte, error) { return nil, errors.ErrUnsupported }

// Unmap returns an error.
func Unmap([]byte) error { return errors.ErrUnsupported }

// Resident returns an error.
func Resident([][]byte) ([]int64, error) { return nil, errors.ErrUnsupported }

// Supported reports whether code can be mapped on this platform.
func Supported() bool { return false }

// newMemory returns an error.
func newMemory() (*os.File, string, error) { return nil, "", errors.ErrUnsupported }
