// Package parts opens the parts of a server in order, and closes them last in, first out.
//
// A part that was opened is closed exactly once, whether a later part cannot be opened, a part fails
// while it runs, or the server is stopped. A part that does not stop in time may still use the parts
// opened before it. So those stay open, except for Part.Always: the process is expected to end.
//
// # Concurrency
//
// One goroutine opens and closes the parts of a List. Each Run has a goroutine of its own, from Open until
// Close has waited for it. Contexts are all that they share.
package parts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Grace is how long Close waits for a part beyond its deadline, for cutting off what still runs.
const Grace = 15 * time.Second

// ErrStuck is matched by the error of Close if a part did not stop. A Part.Close returns an
// error that matches it if the part still uses others.
var ErrStuck = errors.New("it does not stop")

// Part is a component of a server. Each function may be nil.
type Part struct {
	Name string // with its article, as in "the data directory"

	// Open acquires what the part needs. If it returns an error, the part has released everything.
	Open func(ctx context.Context) error
	// Run works until ctx ends, which is when the list begins to close, or until Close
	// makes it return. An error ends the context of the list.
	Run func(ctx context.Context) error
	// Data is set for a part that uses files which another process takes over while requests go on: Release closes it.
	Data bool
	// Always lets the part be closed even if a later part is stuck, for things that can be taken
	// from under it: a directory to be removed would outlast the process.
	Always bool
	// Close releases everything, and makes Run return if the end of its context does not.
	// At the end of ctx, it cuts off what still runs.
	Close func(ctx context.Context) error
}

// List is a list of opened parts. Create it with New.
type List struct {
	// Wrap replaces a part before it is opened, so that tests can observe it and let it fail. It may be nil.
	Wrap func(Part) Part

	opened  []*opened
	serving context.Context // ends with the context of New, and when a part fails
	fail    context.CancelCauseFunc
	running context.Context // of Run
	stop    context.CancelFunc
}

// opened is a part between Open and Close.
type opened struct {
	Part
	ended  chan struct{} // closed when Run has returned
	failed error         // result of Run; read after ended
}

// New returns an empty list.
func New(ctx context.Context) *List {
	l := &List{}
	l.serving, l.fail = context.WithCancelCause(ctx)
	l.running, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

// Context returns a context that ends with that of New, or when a Run returns an error, which is its cause then.
func (l *List) Context() context.Context { return l.serving }

// Open opens a part and starts its Run. It returns the error of the part's Open.
func (l *List) Open(ctx context.Context, p Part) error {
	if l.Wrap != nil {
		p = l.Wrap(p)
	}
	if p.Open != nil {
		if err := p.Open(ctx); err != nil {
			return err
		}
	}
	o := &opened{Part: p, ended: make(chan struct{})}
	l.opened = append(l.opened, o)
	if p.Run == nil {
		close(o.ended)
		return nil
	}
	go func() {
		defer close(o.ended)
		if o.failed = p.Run(l.running); o.failed != nil {
			l.fail(o.failed)
		}
	}()
	return nil
}

// Release ends the contexts of all Runs, and closes the parts with Data, from the last to the first. The others stay
// open until Close.
func (l *List) Release(ctx context.Context) error {
	l.stop()
	var errs []error
	for i := len(l.opened) - 1; i >= 0; i-- {
		if o := l.opened[i]; o.Data {
			errs = append(errs, o.close(ctx))
			l.opened = slices.Delete(l.opened, i, i+1)
		}
	}
	return errors.Join(errs...)
}

// Close ends the contexts of all Runs, and closes the parts from the last to the first. All of them together
// have the time of patience to finish. It returns the errors of Close, with the names of their parts, and those
// of Run. A second call returns nil.
func (l *List) Close(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l.stop()
	defer l.fail(nil)
	var errs []error
	var left []string // names of the parts that a stuck one may use
	stuck := false
	for len(l.opened) > 0 {
		last := len(l.opened) - 1
		o := l.opened[last]
		l.opened = l.opened[:last]
		if stuck && !o.Always {
			left = append(left, o.Name)
			continue
		}
		err := o.close(ctx)
		stuck = stuck || errors.Is(err, ErrStuck)
		errs = append(errs, err)
	}
	if len(left) > 0 {
		errs = append(errs, fmt.Errorf("left open, as it may be in use: %s", strings.Join(left, ", ")))
	}
	return errors.Join(errs...)
}

// close closes the part and waits for its Run, at most until Grace after ctx has ended.
func (o *opened) close(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { // outlives this call if the part is stuck, until the process ends
		var err error
		if o.Close != nil {
			if err = o.Close(ctx); err != nil {
				err = fmt.Errorf("close %s: %w", o.Name, err)
			}
		}
		<-o.ended
		done <- errors.Join(o.failed, err)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(Grace)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
		return fmt.Errorf("close %s: %w", o.Name, ErrStuck)
	}
}
