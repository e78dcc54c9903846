package tokens

import (
	"context"
	"net/netip"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/identity"
)

// MinAdminBytes is the minimum length of an admin token, which its owner chooses.
const MinAdminBytes = 16

// Config configures an Authority.
type Config struct {
	AdminToken string // empty: there is none
	Store      *Store // nil: there are no other tokens
}

// Authority recognises tokens.
type Authority struct {
	store    *Store // immutable; may be nil
	hasAdmin bool   // immutable
	admin    digest // immutable; hashed, so that comparisons do not leak the length
	failures failures
}

// New returns an Authority.
func New(cfg Config) *Authority {
	return &Authority{store: cfg.Store, hasAdmin: cfg.AdminToken != "", admin: digestOf(cfg.AdminToken)}
}

// HasAdmin reports whether there is an --admin-token: requests without a token are then refused.
func (a *Authority) HasAdmin() bool { return a.hasAdmin }

// Store returns the tokens beside the admin token, or nil if the Authority has none.
func (a *Authority) Store() *Store { return a.store }

// Principal returns the principal of a token that a client has sent. Otherwise its error is a problem for the client.
//
// Failures are limited by client, and a client beyond the limit is refused without a look at its token. A token of the
// Store is accepted all the same: it cannot be guessed, and one client must not shut out others behind the same proxy.
func (a *Authority) Principal(token string, client netip.Addr) (*identity.Principal, error) {
	now := time.Now()
	if a.store != nil && wellFormed(token) {
		if e := a.store.find(token, now); e != nil {
			return e.principal(now)
		}
	}
	given := digestOf(token)
	ok, wait := a.failures.try(client, now, func() bool { return a.hasAdmin && given.equal(a.admin) })
	if wait > 0 {
		p := problem.New(problem.TooManyRequests, "too many requests of this client had a wrong token: try again later")
		p.RetryAfter = wait
		return nil, p
	}
	if ok {
		return identity.AdminToken(), nil
	}
	if Is(token) && !wellFormed(token) {
		return nil, problem.New(problem.Unauthorized, "the token is incomplete or mistyped, as its checksum shows: copy all of it")
	}
	return nil, problem.New(problem.Unauthorized, "the Authorization header does not carry the server's --admin-token or a token of it that is in use")
}

// principal returns the principal of the token, or a problem if it has expired.
func (e *entry) principal(now time.Time) (*identity.Principal, error) {
	if err := context.Cause(e.ended); err != nil || e.info.expired(now) {
		return nil, problem.Newf(problem.Unauthorized, "the token %q has expired: create another one", e.info.Name).WithCause(err)
	}
	return &identity.Principal{
		Kind:    identity.KindToken,
		Name:    e.info.Name,
		ID:      e.info.ID,
		Scopes:  e.info.Scopes,
		Expires: e.info.Expires,
		Ended:   e.ended,
	}, nil
}
