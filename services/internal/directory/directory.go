// Package directory keeps a service's directory open and follows its name. This matters
// because a build that removes and recreates the directory leaves the open one empty.
//
// A request pins a [Handle] with Acquire and uses it until its end, so it never sees a mix
// of two directories. Each Acquire compares the directory at the name with the open one, at
// a bounded rate. Nothing is opened under the lock, and only one goroutine checks at a time.
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
	// checkInterval is the minimum time between checks for requests that accept a recent result.
	checkInterval = 10 * time.Millisecond
	// logInterval is the minimum time between two lines of one message about one directory.
	logInterval = time.Second
)

// ErrGone is returned while no directory exists at the name.
var ErrGone = errors.New("the directory is gone")

// Config describes a directory.
type Config struct {
	Root    *os.Root // owned by the caller; if its path leads to another directory now, that one is used
	Name    string   // below Root, slash-separated
	Service string   // for the log
	Log     *slog.Logger
}

// Directory is a followed directory. It is safe for concurrent use and starts no goroutine.
type Directory struct {
	cfg  Config      // immutable
	base fs.FileInfo // immutable; of cfg.Root

	mu       sync.Mutex
	current  *Handle       // guarded by mu, as all below; nil if the directory is gone
	retired  []*Handle     // still in use
	looking  chan struct{} // closed when the check in progress ends; nil if there is none
	looked   time.Time     // start of the last check
	replaced time.Time     // when another directory was last opened; zero: never
	goneAt   time.Time     // time of the last log line for this
	backAt   time.Time     // time of the last log line for this
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

// Acquire pins the directory at the name. With exact, the name is checked after the call begins. Otherwise
// the result of a very recent check is accepted. The error is ErrGone, or fs.ErrClosed after Close.
func (d *Directory) Acquire(exact bool) (*Handle, error) {
	d.look(exact)
	h, err := d.pin()
	if err == ErrGone && !exact {
		d.look(true)
		h, err = d.pin()
	}
	return h, err
}

// pin counts a use of the open directory.
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

// Release unpins the handle.
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
		_ = h.Root.Close() // read-only, so a close error does not matter
	}
}

// State checks the name. It returns whether the directory exists, and when it was last replaced.
func (d *Directory) State() (present bool, replaced time.Time) {
	d.look(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current != nil || d.closed, d.replaced
}

// Close closes all open handles, including those in use.
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

// look checks the name, unless another goroutine is checking or has just done so.
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

// find returns a handle for the directory at the name. It returns held if that is the
// same one. The error says why there is none.
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

// root returns the directory at the path of the configured root. It is the configured
// root unless that was removed and recreated.
func (d *Directory) root() (_ *os.Root, done func()) {
	path := d.cfg.Root.Name()
	if info, err := os.Stat(path); err == nil && !os.SameFile(info, d.base) {
		if root, err := regular.OpenRoot(path); err == nil {
			return root, func() { _ = root.Close() }
		}
	}
	return d.cfg.Root, func() {}
}

// transient reports whether an error is about the server and not about the directory.
func transient(err error) bool {
	for _, e := range [...]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EIO, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// swapLocked replaces held with found. It returns the handle to close, or nil.
func (d *Directory) swapLocked(held, found *Handle, reason error) (unused *Handle) {
	switch {
	case found == held:
		return nil
	case d.closed:
		return found // held is closed already
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

// logLocked logs a line unless the same message was logged less than logInterval ago.
func (d *Directory) logLocked(last *time.Time, level slog.Level, message string, attrs ...slog.Attr) {
	now := time.Now()
	if d.cfg.Log == nil || now.Sub(*last) < logInterval {
		return
	}
	*last = now
	attrs = append(attrs, slog.String("service", d.cfg.Service), slog.String("directory", d.cfg.Name))
	d.cfg.Log.LogAttrs(context.Background(), level, message, attrs...)
}
