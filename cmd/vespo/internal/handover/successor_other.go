//go:build !unix

package handover

import (
	"context"
	"errors"
)

// Successor is the process that takes over from this one.
type Successor struct{}

// Supported reports whether this system can pass sockets on.
func Supported() bool { return false }

// Start returns an error.
func (s *Sockets) Start(string, []string) (*Successor, error) { return nil, errors.ErrUnsupported }

// Hold returns an error.
func (s *Sockets) Hold() error { return errors.ErrUnsupported }

// Let does nothing.
func (s *Sockets) Let() {}

// PID returns 0.
func (n *Successor) PID() int { return 0 }

// AwaitPrepared returns an error.
func (n *Successor) AwaitPrepared(context.Context) error { return errors.ErrUnsupported }

// AwaitReady returns an error.
func (n *Successor) AwaitReady(context.Context) error { return errors.ErrUnsupported }

// Proceed returns an error.
func (n *Successor) Proceed() error { return errors.ErrUnsupported }

// Kill does nothing.
func (n *Successor) Kill() {}

func closeOnExec(int) {}
