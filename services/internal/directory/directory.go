// Package directory keeps a directory open that a service reads, and follows its name: a build that removes the directory and makes it anew
// leaves the open one empty.
//
// A request pins a [Handle] with Acquire, and reads through it to its end: it never sees half of one directory and half of another. Each Acquire
// compares what the name leads to with what is open, at a bounded rate. Nothing is opened under the lock, and one goroutine looks at a time.
package directory

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vespo-dev/vespo/internal/regular"
)

const (
	// checkInterval bounds how often requests that are content with what is open look at the name.
	checkInterval = 10 * time.Millisecond
	// logInterval bounds the lines of each message about one directory.
	logInterval = time.Second
)

// ErrGone is returned while no directory has the name.
var ErrGone = errors.New("the directory is gone")

// Config names a directory.
type Config struct {
	Root    *os.Root // it stays the caller's; if its own path leads to another directory, that is followed too
	Name    string   // below Root, with slashes
	Service string   // for the log
	Log     *slog.Logger
}

// Directory is safe for concurrent use. It starts no goroutine.
type Directory struct {
	cfg  Config      // immutable
	base fs.FileInfo // immutable; of cfg.Root

	mu       sync.Mutex
	current  *Handle       // guarded by mu, as all below; nil while there is none
	retired  []*Handle     // still in use
	looking  chan struct{} // closed when the look under way has ended; nil if there is none
	looked   time.Time     // when the last look began
	replaced time.Time     // when another directory was opened last; zero: never
	goneAt   time.Time     // of the last line that says so
	backAt   time.Time     // of the last line that says so
	closed   bool
}

// Handle is an open directory. It is valid until Release.
type Handle struct {
	*os.Root
	of   *Directory
	info fs.FileInfo // immutable
	uses int         // guarded by of.mu
}

// Open opens the directory.
func Open(cfg Config) (*Directory, error) {
	base, err := cfg.Root.Stat(".")
	if err != nil {
		return nil, err
	}
	d := &Directory{cfg: cfg, base: base}
	d.current, err = d.find(nil)
	return d, err
}

// Acquire pins the directory that the name leads to. With exact, the name is looked at after the call has begun; without, a directory that was
// found a moment ago is good enough. The error is ErrGone, or fs.ErrClosed after Close.
func (d *Directory) Acquire(exact bool) (*Handle, error) {
	d.look(exact)
	h, err := d.pin()
	if err == ErrGone && !exact {
		d.look(true)
		h, err = d.pin()
	}
	return h, err
}

// pin counts a use of what is open.
func (d *Directory) pin() (*Handle, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, fs.ErrClosed
	case d.current == nil:
		return nil, ErrGone
	}
	d.current.uses++
	return d.current, nil
}

// Release gives a handle back.
func (h *Handle) Release() {
	d := h.of
	d.mu.Lock()
	h.uses--
	at := slices.Index(d.retired, h)
	unused := h.uses == 0 && at >= 0
	if unused {
		d.retired = slices.Delete(d.retired, at, at+1)
	}
	d.mu.Unlock()
	if unused {
		_ = h.Root.Close() // it was only read
	}
}

// State reports whether the directory is there, and when it was replaced last. It looks at the name.
func (d *Directory) State() (present bool, replaced time.Time) {
	d.look(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current != nil || d.closed, d.replaced
}

// Close closes what is open, handles in use included.
func (d *Directory) Close() error {
	d.mu.Lock()
	all := d.retired
	if d.current != nil {
		all = append(all, d.current)
	}
	d.current, d.retired, d.closed = nil, nil, true
	d.mu.Unlock()
	var errs []error
	for _, h := range all {
		errs = append(errs, h.Root.Close())
	}
	return errors.Join(errs...)
}

// look finds out what the name leads to, unless another goroutine does or has just done.
func (d *Directory) look(exact bool) {
	begun := time.Now()
	d.mu.Lock()
	for d.looking != nil && exact {
		wait := d.looking
		d.mu.Unlock()
		<-wait
		d.mu.Lock()
	}
	recent := begun.Sub(d.looked) < checkInterval
	if exact {
		recent = d.looked.After(begun)
	}
	if d.closed || d.looking != nil || recent {
		d.mu.Unlock()
		return
	}
	ended := make(chan struct{})
	d.looking, d.looked = ended, time.Now()
	held := d.current
	d.mu.Unlock()

	found, err := d.find(held)

	d.mu.Lock()
	d.looking = nil
	unused := d.swapLocked(held, found, err)
	d.mu.Unlock()
	close(ended)
	if unused != nil {
		_ = unused.Root.Close()
	}
}

// find returns a handle on what the name leads to: held, if that is it. The error is the reason why there is none.
func (d *Directory) find(held *Handle) (*Handle, error) {
	root, closeRoot := d.root()
	defer closeRoot()
	name := filepath.FromSlash(d.cfg.Name)
	if held != nil {
		if info, err := root.Stat(name); err == nil && os.SameFile(info, held.info) || transient(err) {
			return held, nil
		}
	}
	opened, err := regular.OpenRootIn(root, name)
	if err != nil {
		if held != nil && transient(err) {
			return held, nil
		}
		return nil, err
	}
	info, err := opened.Stat(".")
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return &Handle{Root: opened, of: d, info: info}, nil
}

// root returns the root that the path of the configured one leads to: that one, unless it was removed and made anew.
func (d *Directory) root() (_ *os.Root, done func()) {
	path := d.cfg.Root.Name()
	if info, err := os.Stat(path); err == nil && !os.SameFile(info, d.base) {
		if root, err := regular.OpenRoot(path); err == nil {
			return root, func() { _ = root.Close() }
		}
	}
	return d.cfg.Root, func() {}
}

// transient reports whether an error says something about the server and nothing about the directory.
func transient(err error) bool {
	for _, e := range [...]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EIO, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// swapLocked puts found in the place of held, and returns the one of both that is of no use, nil if there is none.
func (d *Directory) swapLocked(held, found *Handle, reason error) (unused *Handle) {
	switch {
	case found == held:
		return nil
	case d.closed:
		return found // held was closed
	}
	d.current = found
	if found == nil {
		d.logLocked(&d.goneAt, slog.LevelWarn, "the directory of a service is gone", slog.Any("error", reason))
	} else {
		d.replaced = time.Now()
		d.logLocked(&d.backAt, slog.LevelInfo, "the directory of a service was replaced: the new one is served")
	}
	if held == nil || held.uses == 0 {
		return held
	}
	d.retired = append(d.retired, held)
	return nil
}

// logLocked logs a line unless the last one of its message is less than logInterval ago.
func (d *Directory) logLocked(last *time.Time, level slog.Level, message string, attrs ...slog.Attr) {
	now := time.Now()
	if d.cfg.Log == nil || now.Sub(*last) < logInterval {
		return
	}
	*last = now
	attrs = append(attrs, slog.String("service", d.cfg.Service), slog.String("directory", d.cfg.Name))
	d.cfg.Log.LogAttrs(context.Background(), level, message, attrs...)
}
