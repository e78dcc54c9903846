package admin

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/identity"
)

// retryAfter is sent to clients when the server is busy or not ready.
const retryAfter = 2 * time.Second

// limiter bounds concurrent requests of one kind. It never waits: the router's admission and the Deployer's
// claims and turns do.
type limiter = *places

// places are the requests that a limiter lets run. A token without the scope admin takes at most half of them, and all
// such tokens together at most three quarters: streams and uploads can last, and nobody may shut out the others.
type places struct {
	most    int           // immutable
	refused atomic.Uint64 // counts refused requests

	mu      sync.Mutex
	running int            // guarded by mu, like all below
	limited int            // of callers without the scope admin
	byToken map[string]int // of each of these, by the id of the token
}

func newLimiter(most int) limiter { return &places{most: most, byToken: make(map[string]int)} }

// acquire takes a place for a request of the caller, or returns a problem if none is free. If it returns nil, the caller
// must call release with the same principal.
func (l *places) acquire(by *identity.Principal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	limited := !by.Scopes.Admin()
	switch {
	case l.running >= l.most, limited && l.limited >= max(1, l.most*3/4):
		return l.refuse("%d management requests of this sort are under way already: try again", l.running)
	case limited && l.byToken[by.ID] >= max(1, l.most/2):
		return l.refuse("%d management requests of this sort by the %s are under way already, the most for one token without the scope admin: try again",
			l.byToken[by.ID], by)
	}
	if l.running++; limited {
		l.limited++
		l.byToken[by.ID]++
	}
	return nil
}

func (l *places) refuse(format string, args ...any) error {
	l.refused.Add(1)
	p := problem.Newf(problem.NoCapacity, format, args...)
	p.RetryAfter = retryAfter
	return p
}

func (l *places) release(by *identity.Principal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	if by.Scopes.Admin() {
		return
	}
	l.limited--
	if l.byToken[by.ID]--; l.byToken[by.ID] == 0 {
		delete(l.byToken, by.ID)
	}
}
