package server

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/handover"
)

const (
	// prepareTime is how long a successor may take to start before the server goes on without it.
	prepareTime = time.Minute
	// takeOverTime is how long a successor may take to serve, from when it may open the data directory. Its
	// services may have to be compiled again.
	takeOverTime = 10 * time.Minute
	// releaseTime is how long requests may go on before the data directory is released. New connections wait so long.
	releaseTime = 2 * time.Second
	// firstTime is how long an accepted connection has for its first request.
	firstTime = 300 * time.Millisecond
)

// succession is the part of a server that hands over to its successor, and takes over from its predecessor.
type succession struct {
	sockets *handover.Sockets
	before  *handover.Predecessor // nil if there is none
	asked   <-chan os.Signal      // asks for a successor; nil if none can be started
	program string                // path of this program, where a newer version may be by now
	again   string                // path of this program as it runs
}

// openSuccession returns the succession of this process. It removes what a predecessor or systemd has put into the
// environment.
func openSuccession(asked <-chan os.Signal) (*succession, error) {
	sockets, before, err := handover.Inherit()
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil || !handover.Supported() {
		asked = nil
	}
	again := program
	if runtime.GOOS == "linux" {
		again = "/proc/self/exe" // even if the file was replaced or removed
	}
	return &succession{
		sockets: sockets,
		before:  before,
		asked:   asked,
		program: program,
		again:   again,
	}, nil
}

// awaitTurn waits until this process may open the data directory.
func (s *succession) awaitTurn(ctx context.Context, cfg *Config) error {
	if s == nil || s.before == nil {
		return nil
	}
	if err := cfg.readable(); err != nil { // the predecessor goes on
		return err
	}
	return s.before.Prepared(ctx)
}

// tellReady tells the predecessor and systemd that this process serves.
func (s *server) tellReady() {
	if s.succession == nil {
		return
	}
	s.succession.sockets.Drop()
	if s.succession.before != nil {
		s.succession.before.Ready()
	}
	if err := handover.Notify(); err != nil {
		s.log.Warn("systemd does not know that the server is ready", "error", err)
	}
}

// serveUntil returns when ctx ends, or when a successor has taken over.
func (s *server) serveUntil(ctx context.Context) {
	if s.succession == nil {
		<-ctx.Done()
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.succession.asked:
			if next := s.prepareSuccessor(ctx); next != nil && s.handOver(next) {
				return
			}
		}
	}
}

// prepareSuccessor starts a successor, and waits until it can take over. It returns nil if none can.
func (s *server) prepareSuccessor(ctx context.Context) *handover.Successor {
	if s.cfg.Demo {
		s.log.Error("no other process takes over: the services of a demo end with it")
		return nil
	}
	next, err := s.succession.sockets.Start(s.succession.program, os.Args)
	if err != nil {
		s.log.Error("no other process takes over; this one goes on", "error", err)
		return nil
	}
	s.log.Info("another process prepares to take over", "pid", next.PID())
	ctx, cancel := context.WithTimeout(ctx, prepareTime)
	defer cancel()
	if err := next.AwaitPrepared(ctx); err != nil {
		next.Kill()
		s.log.Error("no other process takes over; this one goes on", "error", err)
		return nil
	}
	return next
}

// handOver lets a successor serve. Clients are asked to connect again while this process still accepts them. Then it
// stops accepting: new connections wait in the kernel. When the requests in flight have ended, or after releaseTime, the
// data directory is released. Other requests in flight go on, until run closes the server. It returns false if this process
// still serves.
func (s *server) handOver(next *handover.Successor) bool {
	if err := s.succession.sockets.Hold(); err != nil {
		next.Kill()
		s.log.Error("no other process takes over; this one goes on", "error", err)
		return false
	}
	defer s.succession.sockets.Let()
	s.log.Info("handing over", "pid", next.PID())
	s.core.handler.Leave()
	for _, f := range s.surfaces {
		f.leaving.Store(true)
	}
	s.linger(lingerTime)
	s.core.deployer.BeginClose()
	s.stopAccepting()
	ctx, cancel := context.WithTimeout(context.Background(), s.drainTimeout)
	defer cancel()
	if err := s.list.Release(ctx); err != nil {
		s.log.Error("while the data directory was released", "error", err)
	}
	if err := s.takenOver(next); err == nil {
		s.log.Info("another process has taken over; this one drains", "pid", next.PID(), "at_most", s.drainTimeout)
		s.linger(lingerTime) // for connections without a request so far
		return true
	}
	s.log.Error("the other process does not serve, so this program starts again", "pid", next.PID())
	next.Kill()
	if err := s.startAgain(); err != nil {
		s.log.Error("this program could not start again", "error", err)
	}
	return true
}

// startAgain lets this program itself succeed, as it runs.
func (s *server) startAgain() error {
	again, err := s.succession.sockets.Start(s.succession.again, os.Args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), prepareTime)
	defer cancel()
	if err := again.AwaitPrepared(ctx); err != nil {
		return err
	}
	if err := s.takenOver(again); err != nil {
		return err
	}
	s.log.Info("another process has taken over; it runs the same program as this one", "pid", again.PID())
	return nil
}

// takenOver lets a successor open the data directory, and waits until it serves.
func (s *server) takenOver(next *handover.Successor) error {
	ctx, cancel := context.WithTimeout(context.Background(), takeOverTime)
	defer cancel()
	if err := next.Proceed(); err != nil {
		return err
	}
	return next.AwaitReady(ctx)
}

// linger waits until no connection is open, for at most d.
func (s *server) linger(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	for _, f := range s.surfaces {
		f.listener.Linger(ctx)
	}
}

// stopAccepting closes the listeners of this process, and waits for the requests in flight, at most for releaseTime.
// Their sockets stay open in the successor. The HTTP servers are not shut down yet: they would drop the first request of a
// connection that was just accepted.
func (s *server) stopAccepting() {
	for _, f := range s.surfaces {
		f.passed.Store(true)
		_ = f.listener.Close() // Accept ends in any case
	}
	s.linger(firstTime)
	ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
	defer cancel()
	for _, f := range s.surfaces {
		if f.name != adminName { // a console that is open has a request as long
			f.listener.AwaitIdle(ctx)
		}
	}
}
