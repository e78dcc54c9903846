// Package budget bounds the bytes that all requests of a server together may make it hold, and shares them between services.
//
// A service may hold at most [Share] times what is left for all: three quarters of the whole if it is alone, less the more other services
// hold. So one service cannot take all, and there is always something left for one that comes new.
package budget

import (
	"errors"
	"sync"
)

// Share is how many times what is left a service may hold.
const Share = 3

// Errors of Read and Write.
var (
	ErrExhausted = errors.New("too many bytes are held for other requests")
	ErrTooLong   = errors.New("longer than the limit")
)

// Budget is a number of bytes. It is safe for concurrent use and never waits.
type Budget struct {
	mu   sync.Mutex
	left int64            // guarded by mu
	held map[string]int64 // guarded by mu; by account, without those that hold nothing
}

// New returns a budget of so many bytes.
func New(bytes int64) *Budget { return &Budget{left: bytes, held: make(map[string]int64)} }

// Left returns the bytes that no account holds.
func (b *Budget) Left() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left
}

// For returns the account of a service. It needs no end.
func (b *Budget) For(service string) Account { return Account{of: b, service: service} }

// Account is what one service holds of a budget. It is safe for concurrent use.
type Account struct {
	of      *Budget
	service string
}

// Take takes n bytes, and reports false, taking none, if that were more than the service's share.
func (a Account) Take(n int64) bool {
	b := a.of
	b.mu.Lock()
	defer b.mu.Unlock()
	held, left := b.held[a.service]+n, b.left-n
	if left < 0 || held/Share > left {
		return false
	}
	b.setLocked(a.service, held, left)
	return true
}

// Give gives back n bytes that were taken.
func (a Account) Give(n int64) {
	if n == 0 {
		return // also by the zero Account, which holds nothing
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
