package pgstore

import (
	"context"
	"sync/atomic"
)

// Installation installs a part before its first use, and tries again after an error. It is safe for concurrent use. Create it
// with NewInstallation.
type Installation struct {
	turn chan struct{} // has one element, which the goroutine that installs takes
	done atomic.Bool   // the part is there
}

// NewInstallation returns an installation that is not done.
func NewInstallation() *Installation {
	i := &Installation{turn: make(chan struct{}, 1)}
	i.turn <- struct{}{}
	return i
}

// Ready calls install unless a call has succeeded before. It returns its error, or that of ctx while another goroutine installs.
func (i *Installation) Ready(ctx context.Context, install func(context.Context) error) error {
	if i.done.Load() {
		return nil
	}
	select {
	case <-i.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { i.turn <- struct{}{} }()
	if i.done.Load() {
		return nil
	}
	err := install(ctx)
	i.done.Store(err == nil)
	return err
}
