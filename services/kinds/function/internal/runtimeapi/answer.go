package runtimeapi

import (
	"errors"
	"net"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/services/internal/budget"
)

// idleClose is the time after which the end of an unused
// connection is ignored: clients close idle connections.
const idleClose = time.Minute

// lostAfter is the time from the end of a worker's connection until its invocation fails. The worker may be alive: the
// client of Go closes a connection if it has not noticed within 50 ms that its request was written, as on a busy machine.
const lostAfter = time.Second

// begin returns the invocation that a worker is about to answer. It returns
// nil, without an error, if no caller waits for the result any more.
func (e *Endpoint) begin(id string, c *conn) (*pending, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.held[id]
	switch {
	case p == nil && slices.Contains(e.answered, id), p != nil && p.state == answering:
		return nil, errAnswered
	case p == nil:
		return nil, errUnknownID
	case p.state == abandoned:
		e.forgetLocked(p)
		return nil, nil
	}
	p.state = answering
	if p.conn != c && !p.conn.passing {
		e.shared = true
	}
	return p, nil
}

// complete delivers the result to the caller. It reports false if no caller waits for it.
func (e *Endpoint) complete(p *pending, result any) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.completeLocked(p, result)
}

func (e *Endpoint) completeLocked(p *pending, result any) bool {
	e.forgetLocked(p)
	if p.state != held && p.state != answering {
		return false
	}
	p.state = answered
	p.result <- result
	return true
}

// forgetLocked removes an invocation and remembers that its id was answered.
func (e *Endpoint) forgetLocked(p *pending) {
	if e.held[p.id] != p {
		return
	}
	delete(e.held, p.id)
	if at := slices.Index(e.abandoned, p.id); at >= 0 {
		e.abandoned = slices.Delete(e.abandoned, at, at+1)
	}
	e.rememberLocked(p.id)
}

// rememberLocked remembers that an id was answered, or that its late result is not accepted any more.
func (e *Endpoint) rememberLocked(id string) {
	e.answered = append(e.answered, id)
	if len(e.answered) > maxRemembered {
		e.answered = slices.Delete(e.answered, 0, len(e.answered)-maxRemembered)
	}
}

// opened records a new connection.
func (e *Endpoint) opened(c net.Conn) *conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	own := &conn{}
	e.conns[c] = own
	if e.lonely != nil {
		e.lonely.Stop()
		e.lonely = nil
	}
	return own
}

// closed records the end of a connection, which may be the end of a worker.
func (e *Endpoint) closed(c net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	own := e.conns[c]
	if own == nil {
		return
	}
	delete(e.conns, c)
	if e.closing.Err() != nil {
		return
	}
	if own.telling() {
		time.AfterFunc(lostAfter, func() { e.lost(own) })
	}
	if len(e.conns) == 0 {
		e.lonely = time.AfterFunc(lonelyAfter, e.deserted)
	}
}

// lost is called when a connection has ended for lostAfter.
func (e *Endpoint) lost(own *conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.shared && e.closing.Err() == nil {
		e.loseLocked(func(p *pending) bool { return p.conn == own && p.Loops <= 1 })
	}
}

// telling reports whether the end of the connection indicates the end of a worker.
func (c *conn) telling() bool { return !c.passing && time.Since(c.used) < idleClose }

// deserted is called when there has been no connection for lonelyAfter.
func (e *Endpoint) deserted() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lonely != nil && len(e.conns) == 0 {
		e.loseLocked(func(p *pending) bool { return p.conn.telling() })
	}
}

// loseLocked fails the invocations held by dead workers.
func (e *Endpoint) loseLocked(dead func(*pending) bool) {
	for _, p := range e.held {
		if p.state == held && dead(p) {
			e.completeLocked(p, ErrWorkerLost)
		}
	}
}

// readError returns the result of an invocation whose output could not be read.
func readError(err error) error {
	switch {
	case errors.Is(err, budget.ErrTooLong):
		return ErrTooLarge
	case errors.Is(err, budget.ErrExhausted):
		return ErrFull
	}
	return ErrTruncated
}
