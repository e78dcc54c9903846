// Package atomicfile writes files that others see as a whole, or not at all. A crash of the machine may lose them.
package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
)

// Write makes or replaces a file. The permissions are 0644.
func Write(file string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".writing-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after a successful rename
	_, err = f.Write(content)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
