package identity

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
)

// Scope is a right. Scopes come from ParseScope, Read, Follow or Admin. It is comparable.
type Scope struct {
	right right
	key   routekey.Key // of a deploy scope
	below bool         // the pattern also covers the prefixes below that of key
}

// right is what a scope permits.
type right int

const (
	noRight right = iota
	readRight
	deployRight
	followRight
	adminRight
)

// The texts of scopes.
const (
	readText     = "read"
	followText   = "follow"
	adminText    = "admin"
	deployPrefix = "deploy:"
	belowSuffix  = "/*"
)

// maxScopeBytes bounds the text of a scope.
const maxScopeBytes = 1 << 10

// Read returns the scope that sees everything.
func Read() Scope { return Scope{right: readRight} }

// Follow returns the scope that sees everything and copies the catalogue, with secrets.
func Follow() Scope { return Scope{right: followRight} }

// Admin returns the scope that may do everything.
func Admin() Scope { return Scope{right: adminRight} }

// ParseScope parses the form that String returns.
func ParseScope(text string) (Scope, error) {
	switch {
	case text == readText:
		return Read(), nil
	case text == followText:
		return Follow(), nil
	case text == adminText:
		return Admin(), nil
	case len(text) > maxScopeBytes:
		return Scope{}, fmt.Errorf("the scope %.40q... has %d bytes: at most %d are allowed", text, len(text), maxScopeBytes)
	case !strings.HasPrefix(text, deployPrefix):
		return Scope{}, fmt.Errorf("the scope %q is unknown: give read, deploy:PATTERN such as deploy:/team-a/*, follow, or admin", text)
	}
	pattern := strings.TrimPrefix(text, deployPrefix)
	prefix, match, matched := strings.Cut(pattern, " ")
	prefix, below := strings.CutSuffix(prefix, belowSuffix)
	if below && prefix == "" {
		prefix = "/"
	}
	switch {
	case pattern == "":
		return Scope{}, errors.New("the scope deploy: has no pattern: give one such as deploy:/team-a/*, or deploy:/* for all services")
	case strings.Contains(prefix, "*"):
		return Scope{}, fmt.Errorf("the pattern %q has a * elsewhere: it can only be the last segment, as in /team-a/*", pattern)
	}
	if matched {
		prefix += " " + match
	}
	key, err := routekey.Parse(prefix)
	if err != nil {
		return Scope{}, fmt.Errorf("the pattern %q is not a prefix or a prefix and a match: %w", pattern, err)
	}
	return Scope{right: deployRight, key: key, below: below}, nil
}

// String returns the canonical text.
func (s Scope) String() string {
	switch s.right {
	case readRight:
		return readText
	case followRight:
		return followText
	case adminRight:
		return adminText
	case deployRight:
		prefix := string(s.key.Prefix)
		if s.below {
			prefix = strings.TrimSuffix(prefix, "/") + belowSuffix
		}
		if match := s.key.Match.String(); match != "" {
			prefix += " " + match
		}
		return deployPrefix + prefix
	}
	return "none"
}

// MarshalText returns the String of s.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is ParseScope.
func (s *Scope) UnmarshalText(text []byte) (err error) {
	*s, err = ParseScope(string(text))
	return err
}

// covers reports whether a deploy scope covers the service.
func (s Scope) covers(key routekey.Key) bool {
	if s.right != deployRight {
		return false
	}
	if m := s.key.Match; m != (routekey.Match{}) && (key.Match.Name != m.Name || !strings.HasPrefix(key.Match.Value, m.Value)) {
		return false
	}
	if key.Prefix == s.key.Prefix {
		return true
	}
	under := strings.TrimSuffix(string(s.key.Prefix), "/") + "/"
	return s.below && strings.HasPrefix(string(key.Prefix), under)
}

// Scopes are the rights of a principal. The zero Scopes permit nothing.
type Scopes []Scope

// ParseScopes parses a list of scopes. It returns them in canonical order, without repetitions.
func ParseScopes(texts []string) (all Scopes, err error) {
	for _, text := range texts {
		scope, err := ParseScope(text)
		if err != nil {
			return nil, err
		}
		all = append(all, scope)
	}
	slices.SortFunc(all, func(a, b Scope) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all), nil
}

// String returns the texts of the scopes, separated by commas.
func (s Scopes) String() string {
	texts := make([]string, 0, len(s))
	for _, scope := range s {
		texts = append(texts, scope.String())
	}
	return strings.Join(texts, ", ")
}

// has reports whether one of the scopes has the right.
func (s Scopes) has(r right) bool {
	return slices.ContainsFunc(s, func(scope Scope) bool { return scope.right == r })
}

// Admin reports whether the scopes permit everything.
func (s Scopes) Admin() bool { return s.has(adminRight) }

// ReadAll reports whether the scopes permit to see all services.
func (s Scopes) ReadAll() bool { return s.Follow() || s.has(readRight) }

// Follow reports whether the scopes permit to copy the catalogue.
func (s Scopes) Follow() bool { return s.Admin() || s.has(followRight) }

// Read reports whether the scopes permit to see the service.
func (s Scopes) Read(key routekey.Key) bool { return s.ReadAll() || s.Deploy(key) }

// DeploySome reports whether the scopes permit to change any service.
func (s Scopes) DeploySome() bool { return s.Admin() || s.has(deployRight) }

// Deploy reports whether the scopes permit to change the service.
func (s Scopes) Deploy(key routekey.Key) bool {
	return s.Admin() || slices.ContainsFunc(s, func(scope Scope) bool { return scope.covers(key) })
}
