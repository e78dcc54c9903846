package lambda

import (
	"errors"
	"fmt"
	"os"

	"github.com/vespo-dev/vespo/internal/regular"
)

// maxDeadLetterBytes is the size at which the dead letter file is rotated.
const maxDeadLetterBytes = 64 << 20

// DeadLetters is a file of lines. When it would exceed its maximum size, it is
// renamed to NAME.1, replacing an earlier one. It is not safe for concurrent use.
type DeadLetters struct {
	name      string
	file      *os.File
	sizeBytes int64
	maxBytes  int64
}

// OpenDeadLetters opens the file, creating it if necessary. Only
// its owner can read a new file, because events may hold secrets.
func OpenDeadLetters(name string) (*DeadLetters, error) {
	d := &DeadLetters{name: name, maxBytes: maxDeadLetterBytes}
	return d, d.open()
}

func (d *DeadLetters) open() error {
	f, err := regular.OpenFile(d.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the file of dead letters: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	d.file, d.sizeBytes = f, info.Size()
	return nil
}

// Write appends one line.
func (d *DeadLetters) Write(line []byte) (int, error) {
	if d.sizeBytes > 0 && d.sizeBytes+int64(len(line)) > d.maxBytes {
		if err := errors.Join(d.file.Close(), os.Rename(d.name, d.name+".1"), d.open()); err != nil {
			return 0, err
		}
	}
	n, err := d.file.Write(line)
	d.sizeBytes += int64(n)
	return n, err
}

// Close closes the file.
func (d *DeadLetters) Close() error { return d.file.Close() }
