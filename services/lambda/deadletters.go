package lambda

import (
	"errors"
	"fmt"
	"os"

	"github.com/vespo-dev/vespo/internal/regular"
)

// maxDeadLetterBytes is how large the file of dead letters may become before it is set aside.
const maxDeadLetterBytes = 64 << 20

// DeadLetters is a file that takes lines, and is set aside as NAME.1, in place of an earlier one, when it has become too large. It is not
// safe for concurrent use.
type DeadLetters struct {
	name      string
	file      *os.File
	sizeBytes int64
	maxBytes  int64
}

// OpenDeadLetters opens the file, or makes one that only its owner can read: events may hold secrets.
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

// Write takes one line.
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
