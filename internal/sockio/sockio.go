// Package sockio reads from and writes to TCP connections by system calls that the Go scheduler does not know of, on Linux.
//
// Around each system call, package net gives up the goroutine's processor, so that another thread can use it if the call
// blocks. Calls on sockets of package net never wait for the peer, and mostly take less than 5 us. On a busy machine it is enough that the
// kernel interrupts a thread in such a call: the runtime's monitor then looks at all processors every 20 us, hands this one to
// another thread, and wakes threads that find nothing to do.
//
// A processor stays with its call here. So large ones are left to package net, as they would delay the goroutines and collections of garbage
// that wait for it.
package sockio

import (
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
)

// smallBytes is the largest buffer that a call takes. It has room for a record of TLS.
const smallBytes = 32 << 10

// Conn is a TCP connection with Read and Write of this package. They wait, end and fail as those of the TCPConn do. Its other
// methods are those of the TCPConn.
type Conn struct {
	*net.TCPConn                          // immutable
	raw          syscall.RawConn          // immutable; nil: Read and Write are those of the TCPConn, too
	reads        atomic.Pointer[transfer] // atomic; a transfer that no goroutine uses, or nil
	writes       atomic.Pointer[transfer] // atomic; the same
}

// New returns a Conn for a connection. The caller must not read from or write to c except by the Conn, and close one of them.
func New(c *net.TCPConn) *Conn {
	if !quick || runtime.GOMAXPROCS(0) == 1 { // with one, the thread that takes over is one more that the kernel gives time to
		return &Conn{TCPConn: c}
	}
	return open(c)
}

// Of returns a Conn for a connection of package net over TCP, and any other connection as it is.
func Of(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		return New(tcp)
	}
	return c
}

func open(c *net.TCPConn) *Conn {
	raw, err := c.SyscallConn()
	if err != nil { // which all calls of c return
		raw = nil
	}
	return &Conn{TCPConn: c, raw: raw}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 || len(p) > smallBytes {
		return c.TCPConn.Read(p)
	}
	t := c.reads.Swap(nil)
	if t == nil {
		t = newRead()
	}
	t.rest = p
	err := c.raw.Read(t.move)
	n, err := t.end(err)
	c.reads.Store(t)
	if err != nil {
		return n, c.named("read", err)
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 || len(p) > smallBytes {
		return c.TCPConn.Write(p)
	}
	t := c.writes.Swap(nil)
	if t == nil {
		t = newWrite()
	}
	t.rest = p
	err := c.raw.Write(t.move)
	n, err := t.end(err)
	c.writes.Store(t)
	if err != nil {
		return n, c.named("write", err)
	}
	return n, nil
}

// named returns an error of raw as the TCPConn would return it.
func (c *Conn) named(op string, err error) error {
	if own, ok := err.(*net.OpError); ok { // it says "raw-read"
		err = own.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// transfer is a read or a write.
type transfer struct {
	rest  []byte // to be filled or sent
	moved int    // bytes
	err   error  // of the system call

	// move transfers as much as possible at once, and reports whether the transfer is over. RawConn calls it.
	move func(fd uintptr) (over bool)
}

// end returns the result of a transfer, and makes it ready for another one. raw is the error of the RawConn: move was not called, or not
// again.
func (t *transfer) end(raw error) (moved int, err error) {
	moved, err = t.moved, t.err
	if raw != nil {
		err = raw
	}
	t.rest, t.moved, t.err = nil, 0, nil
	return moved, err
}
