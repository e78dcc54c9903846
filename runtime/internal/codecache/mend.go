package codecache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// makeDirs creates missing directories, and lets only their owner into all of them.
func makeDirs(dir string) error {
	for _, name := range directories() {
		d := filepath.Join(dir, name)
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("compiled code cannot be kept: %w", err)
		}
		if err := os.Chmod(d, 0o700); err != nil {
			return fmt.Errorf("compiled code cannot be kept safely: %w", err)
		}
	}
	return nil
}

// maxMends bounds how often directories are made anew for one use: the removal of a tree can go on meanwhile.
const maxMends = 4

// withDirs calls use. If that fails because a file or directory is missing, withDirs makes missing directories of the cache
// anew, and calls use again. They can be removed from outside at any time.
func (c *Cache) withDirs(use func() error) error {
	err := use()
	for n := 0; n < maxMends && errors.Is(err, fs.ErrNotExist); n++ {
		if err = c.mend(); err == nil {
			err = use()
		}
	}
	return err
}

// Mend makes a directory in a WorkDir anew if it is missing, with the directories of the cache.
func (c *Cache) Mend(dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := c.withDirs(func() error {
		parent := filepath.Dir(dir) // below the work directory, which only mend makes
		if err := os.Mkdir(parent, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return os.Mkdir(dir, 0o700)
	})
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// mend makes missing directories of the cache anew, in the form in which Open makes them.
func (c *Cache) mend() (err error) {
	c.mending.Lock()
	defer c.mending.Unlock()
	// What contains it is not the cache's: it may be on a disk that is not mounted any more.
	if err := os.Mkdir(c.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("compiled code cannot be kept: %w", err)
	}
	if err := makeDirs(c.dir); err != nil {
		return err
	}
	all := flock.New(filepath.Join(c.dir, lockFile)) // a concurrent Open must not take the work directory for an abandoned one
	if err := all.Lock(); err != nil {
		return fmt.Errorf("lock the compiled code: %w", err)
	}
	defer func() { err = errors.Join(err, all.Close()) }()
	if err := os.MkdirAll(c.work, 0o700); err != nil {
		return fmt.Errorf("compiled code cannot be kept: %w", err)
	}
	if err := c.relock(); err != nil {
		return fmt.Errorf("lock the compiled code: %w", err)
	}
	return c.takeOver()
}

// relock locks the work directory, if its lock file is missing.
func (c *Cache) relock() error {
	path := c.lock.Path()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := c.lock.Close(); err != nil {
		return err
	}
	c.lock = flock.New(path)
	return c.lock.Lock()
}
