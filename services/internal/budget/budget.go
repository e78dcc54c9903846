// Package budget limits the memory that all requests of a server hold together, and
// shares it between services.
//
// A service may hold at most [Share] times the bytes that are left. Alone, it gets
// three quarters of the budget, and less the more other services hold. So no service
// can take everything, and a new service always finds something left.
package budget

import (
	"errors"
	"sync"
)

// Share is the maximum ratio of a service's bytes to the bytes that are left.
const Share = 3

// Errors of Read and Write.
var (
	ErrExhausted = errors.New("too many bytes are held for other requests")
	ErrTooLong   = errors.New("longer than the limit")
)

// Budget is a number of bytes. It is safe for concurrent use and never blocks.
type Budget struct {
	size int64 // immutable

	mu      sync.Mutex
	left    int64            // guarded by mu
	held    map[string]int64 // guarded by mu; by account, without empty ones
	refused uint64           // guarded by mu
}

// Stats is a snapshot of a budget.
type Stats struct {
	SizeBytes int64
	HeldBytes int64
	Accounts  int    // services that hold something
	Refused   uint64 // calls of Take since New that exceeded a share
}

// Stats returns the current state.
func (b *Budget) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Stats{SizeBytes: b.size, HeldBytes: b.size - b.left, Accounts: len(b.held), Refused: b.refused}
}

// New returns a budget of the given size.
func New(bytes int64) *Budget { return &Budget{size: bytes, left: bytes, held: make(map[string]int64)} }

// Left returns the bytes that no account holds.
func (b *Budget) Left() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left
}

// For returns the account of a service. It needs no release.
func (b *Budget) For(service string) Account { return Account{of: b, service: service} }

// Account is one service's share of a budget. It is safe for concurrent use.
type Account struct {
	of      *Budget
	service string
}

// Take charges n bytes. If that exceeds the service's share, it charges nothing and returns false.
func (a Account) Take(n int64) bool {
	b := a.of
	b.mu.Lock()
	defer b.mu.Unlock()
	held, left := b.held[a.service]+n, b.left-n
	if left < 0 || held/Share > left {
		b.refused++
		return false
	}
	b.setLocked(a.service, held, left)
	return true
}

// Give returns n bytes that were taken.
func (a Account) Give(n int64) {
	if n == 0 {
		return // also for the zero Account, which holds nothing
	}
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	a.of.setLocked(a.service, a.of.held[a.service]-n, a.of.left+n)
}

func (b *Budget) setLocked(service string, held, left int64) {
	b.left = left
	if b.held[service] = held; held == 0 {
		delete(b.held, service)
	}
}

// Charge takes n bytes even if that exceeds the share, for bytes that are held already.
func (a Account) Charge(n int64) {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	a.of.setLocked(a.service, a.of.held[a.service]+n, a.of.left-n)
}
