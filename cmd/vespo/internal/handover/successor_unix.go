//go:build unix

package handover

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Successor is the process that takes over from this one.
type Successor struct {
	process *os.Process
	to      *os.File
	lines   chan string   // messages; closed when the process has closed its end
	ended   chan struct{} // closed when the process has ended
}

// Supported reports whether this system can pass sockets on.
func Supported() bool { return true }

// Start starts a program with the open sockets. Its output goes to that of this process.
func (s *Sockets) Start(path string, args []string) (*Successor, error) {
	names, sockets, err := s.duplicate()
	defer closeAll(sockets)
	if err != nil {
		return nil, err
	}
	theirs, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	from, answers, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, to.Close())
	}
	defer answers.Close()
	// Not by os/exec: it makes descriptors blocking, and a socket is so for both processes.
	files := append([]uintptr{0, 1, 2, theirs.Fd(), answers.Fd()}, sockets...)
	env := append(os.Environ(), envOf+"=1", envFDs+"="+strconv.Itoa(len(sockets)), envNames+"="+strings.Join(names, ":"))
	pid, _, err := syscall.StartProcess(path, args, &syscall.ProcAttr{Env: env, Files: files})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", path, err), to.Close(), from.Close())
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, errors.Join(err, to.Close(), from.Close())
	}
	n := &Successor{
		process: process,
		to:      to,
		lines:   make(chan string, 2),
		ended:   make(chan struct{}),
	}
	go n.read(from)
	go func() { _, _ = process.Wait(); close(n.ended) }()
	return n, nil
}

// Hold keeps the open sockets after their listeners are closed, until Let: connections wait there for a successor.
func (s *Sockets) Hold() error {
	names, fds, err := s.duplicate()
	if err != nil {
		closeAll(fds)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, name := range names {
		s.held[name] = fds[i]
	}
	return nil
}

// Let closes the sockets that Hold keeps.
func (s *Sockets) Let() {
	s.mu.Lock()
	defer s.mu.Unlock()
	closeAll(slices.Collect(maps.Values(s.held)))
	clear(s.held)
}

// duplicate returns duplicates of the open and the held sockets, with their names. The caller closes them.
func (s *Sockets) duplicate() (names []string, fds []uintptr, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, own := range s.held {
		fd, err := unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return names, fds, fmt.Errorf("duplicate a socket: %w", err)
		}
		names, fds = append(names, name), append(fds, uintptr(fd))
	}
	if len(s.held) > 0 {
		return names, fds, nil
	}
	for name, l := range s.open {
		raw, failed := l.SyscallConn()
		if failed != nil {
			continue
		}
		var fd int
		if raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }) != nil {
			continue // it is closed
		}
		if err != nil {
			return names, fds, fmt.Errorf("duplicate a socket: %w", err)
		}
		names, fds = append(names, name), append(fds, uintptr(fd))
	}
	return names, fds, nil
}

func closeAll(fds []uintptr) {
	for _, fd := range fds {
		_ = unix.Close(int(fd)) // a duplicate
	}
}

// read passes on messages until the process ends. It sends at most two.
func (n *Successor) read(from *os.File) {
	defer from.Close()
	defer close(n.lines)
	in := bufio.NewScanner(from)
	for range cap(n.lines) {
		if !in.Scan() {
			return
		}
		n.lines <- in.Text()
	}
}

// PID returns the id of the process.
func (n *Successor) PID() int { return n.process.Pid }

// AwaitPrepared waits until the successor can take over.
func (n *Successor) AwaitPrepared(ctx context.Context) error { return n.await(ctx, prepared) }

// AwaitReady waits until the successor serves.
func (n *Successor) AwaitReady(ctx context.Context) error { return n.await(ctx, ready) }

func (n *Successor) await(ctx context.Context, message string) error {
	select {
	case line, ok := <-n.lines:
		if !ok || line != message {
			return fmt.Errorf("process %d ended; its last lines have the reason", n.PID())
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("process %d is not %s: %w", n.PID(), message, context.Cause(ctx))
	}
}

// Proceed lets the successor take over.
func (n *Successor) Proceed() error {
	_, err := fmt.Fprintln(n.to, proceed)
	return err
}

// Kill ends the process, and waits for its end.
func (n *Successor) Kill() {
	_ = n.process.Kill() // fails if it has ended
	<-n.ended
	_ = n.to.Close()
}

func closeOnExec(fd int) { unix.CloseOnExec(fd) }
