package handover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Variables of the environment. The first three are those of systemd.
const (
	envPID    = "LISTEN_PID"
	envFDs    = "LISTEN_FDS"
	envNames  = "LISTEN_FDNAMES" // separated by colons
	envNotify = "NOTIFY_SOCKET"
	envOf     = "VESPO_SUCCESSOR" // set for a successor, whose first descriptors are those of its messages
)

// firstFD is the first descriptor that is passed to a process.
const firstFD = 3

// maxFDs bounds the number of sockets that are inherited.
const maxFDs = 64

// Sockets are the listening sockets of this process by name: that of the flag which sets the address, such as "listen".
type Sockets struct {
	bound bool // immutable; the addresses come from systemd, and not from flags

	mu        sync.Mutex
	inherited map[string]*net.TCPListener // guarded by mu, as all below; not used yet
	open      map[string]*net.TCPListener // may be closed already
	held      map[string]uintptr          // descriptors; see Hold
}

// New returns Sockets that has inherited none.
func New() *Sockets {
	return &Sockets{
		inherited: make(map[string]*net.TCPListener),
		open:      make(map[string]*net.TCPListener),
		held:      make(map[string]uintptr),
	}
}

// Inherit returns the sockets that this process was started with, and the predecessor that waits for it; nil if there is
// none. It removes the variables, so that programs that this process starts do not take them for theirs.
func Inherit() (*Sockets, *Predecessor, error) {
	s := New()
	count, names, pid := os.Getenv(envFDs), os.Getenv(envNames), os.Getenv(envPID)
	_, successor := os.LookupEnv(envOf)
	for _, name := range [...]string{envFDs, envNames, envPID, envOf} {
		_ = os.Unsetenv(name)
	}
	if count == "" || !successor && pid != strconv.Itoa(os.Getpid()) {
		return s, nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxFDs {
		return nil, nil, fmt.Errorf("%s is %q: it must be a number of sockets, at most %d", envFDs, count, maxFDs)
	}
	var before *Predecessor
	first := firstFD
	if successor {
		before = newPredecessor()
		first += messageFDs
	}
	s.bound = !successor
	for i, name := range append(strings.Split(names, ":"), make([]string, n)...)[:n] {
		if err := s.adopt(first+i, strings.TrimSuffix(name, ".socket")); err != nil {
			return nil, nil, err
		}
	}
	return s, before, nil
}

// adopt takes over a descriptor. A socket without a name is the public one.
func (s *Sockets) adopt(fd int, name string) error {
	f := os.NewFile(uintptr(fd), name)
	defer f.Close() // l has a duplicate
	l, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("the inherited socket %q: %w", name, err)
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return errors.Join(fmt.Errorf("the inherited socket %q is not one of TCP", name), l.Close())
	}
	if name == "" || name == "unknown" || name == "vespo" {
		name = "listen"
	}
	if s.inherited[name] != nil {
		return errors.Join(fmt.Errorf("two inherited sockets have the name %q: give each the name of a flag, such as listen (FileDescriptorName)", name), l.Close())
	}
	s.inherited[name] = tcp
	return nil
}

// Listen returns the inherited socket with a name if its address is the wanted one, or listens.
func (s *Sockets) Listen(ctx context.Context, name, address string) (*net.TCPListener, error) {
	s.mu.Lock()
	l := s.inherited[name]
	delete(s.inherited, name)
	s.mu.Unlock()
	if l != nil && !s.bound && !serves(l.Addr(), address) {
		_ = l.Close() // the settings have changed
		l = nil
	}
	if l == nil {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false) // filters of conns need a plain socket
		inner, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		l = inner.(*net.TCPListener)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[name] = l
	return l, nil
}

// Has reports whether a socket with this name was inherited and is not used yet.
func (s *Sockets) Has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inherited[name] != nil
}

// serves reports whether a listener at addr is one for an address. Port 0 is any.
func serves(addr net.Addr, address string) bool {
	is, ok := addr.(*net.TCPAddr)
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil || !ok || want.Port != 0 && want.Port != is.Port {
		return false
	}
	return want.IP.Equal(is.IP) || (want.IP == nil || want.IP.IsUnspecified()) && is.IP.IsUnspecified()
}

// Drop closes the inherited sockets that no listener wanted.
func (s *Sockets) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, l := range s.inherited {
		_ = l.Close()
		delete(s.inherited, name)
	}
}
