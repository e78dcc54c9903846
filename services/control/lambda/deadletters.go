package lambda

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/regular"
)

// maxDeadLetterBytes is the size at which the dead letter file is rotated.
const maxDeadLetterBytes = 64 << 20

// DeadLetters is a file of lines. When it would exceed its maximum size, it is
// renamed to NAME.1, replacing an earlier one. A line that a crash has torn is
// followed by whole ones. It is not safe for concurrent use.
type DeadLetters struct {
	name      string
	file      *os.File // nil: not open
	sizeBytes int64
	maxBytes  int64
	torn      bool // the last line may not be whole
}

// OpenDeadLetters opens the file, creating it if necessary. Only
// its owner can read a new file, because events may hold secrets.
func OpenDeadLetters(name string) (*DeadLetters, error) {
	d := &DeadLetters{name: name, maxBytes: maxDeadLetterBytes}
	return d, d.open()
}

func (d *DeadLetters) open() error {
	f, err := regular.OpenFile(d.name, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the file of dead letters: %w", err)
	}
	d.file = f
	if err := errors.Join(d.endLine(), durable.SyncDir(filepath.Dir(d.name))); err != nil {
		d.file = nil
		return errors.Join(fmt.Errorf("open the file of dead letters: %w", err), f.Close())
	}
	d.torn = false
	return nil
}

// endLine ends a last line that was not written whole.
func (d *DeadLetters) endLine() error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	d.sizeBytes = info.Size()
	last := []byte{'\n'}
	if d.sizeBytes > 0 {
		if _, err := d.file.ReadAt(last, d.sizeBytes-1); err != nil {
			return err
		}
	}
	if last[0] == '\n' {
		return nil
	}
	n, err := d.file.Write([]byte{'\n'})
	d.sizeBytes += int64(n)
	return err
}

// Write appends one line. When it returns nil, the line is on disk.
func (d *DeadLetters) Write(line []byte) (int, error) {
	if d.sizeBytes > 0 && d.sizeBytes+int64(len(line)) > d.maxBytes {
		if err := d.rotate(); err != nil {
			return 0, err
		}
	}
	if d.file == nil {
		if err := d.open(); err != nil {
			return 0, err
		}
	}
	if d.torn {
		if err := d.endLine(); err != nil {
			return 0, err
		}
	}
	n, err := d.file.Write(line)
	d.sizeBytes += int64(n)
	d.torn = err != nil
	return n, errors.Join(err, d.file.Sync())
}

// rotate closes and renames the file.
func (d *DeadLetters) rotate() error {
	if d.file != nil {
		err := d.file.Close()
		if d.file = nil; err != nil {
			return err
		}
	}
	if err := os.Rename(d.name, d.name+".1"); err != nil {
		return err
	}
	d.sizeBytes = 0
	return nil
}

// Close closes the file.
func (d *DeadLetters) Close() error {
	if d.file == nil {
		return nil
	}
	return d.file.Close()
}
