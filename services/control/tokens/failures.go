package tokens

import (
	"net/netip"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/router/forwarded"
)

// Limits of failures.
const (
	maxFailures   = 10              // in a row
	failureEvery  = 6 * time.Second // after that, one more in this time
	maxSites      = 4096            // counted one by one; all others share one count
	overflowCount = 10 * maxFailures
)

// failures limits wrong tokens by client: an IPv4 address, or the /64 network of an IPv6 address, in which one client has
// as many addresses as it wants. Sites beyond maxSites share one limit.
type failures struct {
	mu       sync.Mutex
	sites    map[netip.Addr]time.Time // guarded by mu: when the failures of the site are forgotten
	overflow time.Time                // guarded by mu: the same, of the sites that are not counted
}

// try calls right, which reports whether a token of the client is right, and counts a failure if it is not. A client with
// too many failures is not tried: wait is how long it has to wait. Tries of many connections at once cannot pass the limit,
// as right is called with the lock held: it must be quick.
func (f *failures) try(client netip.Addr, now time.Time, right func() bool) (ok bool, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	site := forwarded.Site(client)
	until, counted := f.sites[site]
	if !counted && len(f.sites) >= maxSites {
		f.forgetLocked(now)
	}
	shared := !counted && len(f.sites) >= maxSites
	most := maxFailures
	if shared {
		until, most = f.overflow, overflowCount
	}
	// A failure adds failureEvery; one more has to fit below the maximum.
	until = later(until, now)
	if wait := until.Sub(now) - time.Duration(most-1)*failureEvery; wait > 0 {
		return false, wait
	}
	if right() {
		return true, 0
	}
	until = until.Add(failureEvery)
	if shared {
		f.overflow = until
		return false, 0
	}
	if f.sites == nil {
		f.sites = make(map[netip.Addr]time.Time)
	}
	f.sites[site] = until
	return false, 0
}

// forgetLocked removes the sites whose failures are over.
func (f *failures) forgetLocked(now time.Time) {
	for site, until := range f.sites {
		if !until.After(now) {
			delete(f.sites, site)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
