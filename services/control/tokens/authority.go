package tokens

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/identity"
)

// Config configures an Authority.
type Config struct {
	AdminToken string // empty: there is none
}

// prefix begins every token that a server makes.
const prefix = "vespo_"

// Is reports whether a text has the form of a token that a server makes.
func Is(text string) bool { return strings.HasPrefix(text, prefix) }

// Authority recognises tokens. It is safe for concurrent use.
type Authority struct {
	hasAdmin bool              // immutable
	admin    [sha256.Size]byte // immutable; hashed, so that comparisons do not leak the length
}

// New returns an Authority.
func New(cfg Config) *Authority {
	return &Authority{hasAdmin: cfg.AdminToken != "", admin: sha256.Sum256([]byte(cfg.AdminToken))}
}

// HasAdmin reports whether there is an --admin-token: requests without a token are then refused.
func (a *Authority) HasAdmin() bool { return a.hasAdmin }

// Principal returns the principal of a token that a client has sent. Otherwise its error is a problem for the client.
func (a *Authority) Principal(token string, _ netip.Addr) (*identity.Principal, error) {
	hash := sha256.Sum256([]byte(token))
	if a.hasAdmin && subtle.ConstantTimeCompare(hash[:], a.admin[:]) == 1 {
		return identity.AdminToken(), nil
	}
	return nil, problem.New(problem.Unauthorized, "the Authorization header does not carry the server's --admin-token or a token of it")
}
