package routekey

import (
	"fmt"
	"strings"
)

// Key is a route key: a path prefix and an optional match. It is comparable, and unique among the services of a
// server. Keys come from Parse, or from a Prefix and a Match that were parsed; others are not [Key.Canonical].
type Key struct {
	Prefix Prefix
	Match  Match // the zero Match: no condition
}

// Error lists everything wrong with a prefix or a match, in words for its author.
type Error struct {
	Field      string   // "prefix" or "match"
	Input      string   // as given, shortened if very long
	Violations []string // one for each broken rule; never empty
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %q: %s", e.Field, e.Input, strings.Join(e.Violations, "; "))
}

// Parse parses the form returned by String. It accepts non-canonical prefixes and matches, too. The error is an
// *Error.
func Parse(s string) (Key, error) {
	path, condition, conditional := strings.Cut(s, " ")
	prefix, err := ParsePrefix(path)
	if err != nil {
		return Key{}, err
	}
	if conditional && condition == "" {
		condition = " " // makes ParseMatch fail
	}
	match, err := ParseMatch(condition)
	if err != nil {
		return Key{}, err
	}
	return Key{Prefix: prefix, Match: match}, nil
}

// MustParse is Parse for constants. It panics on an error.
func MustParse(s string) Key {
	key, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return key
}

// Stored splits the form returned by String without checking it: rules may have become stricter since it was
// written. The String of the result is s.
func Stored(s string) Key {
	path, condition, _ := strings.Cut(s, " ")
	name, value, _ := strings.Cut(condition, ": ")
	key := Key{Prefix: Prefix(path), Match: Match{Name: name, Value: value}}
	if key.String() != s {
		return Key{Prefix: Prefix(s)}
	}
	return key
}

// String returns the canonical text, "/a/b" or "/a/b Host: iam". Prefixes contain no space, so the text of a canonical
// key is unambiguous.
func (k Key) String() string {
	if k.Match == (Match{}) {
		return string(k.Prefix)
	}
	return string(k.Prefix) + " " + k.Match.String()
}

// MarshalText returns the String of k, for logs and as the key of a JSON object.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// IsZero reports whether k is the zero Key, which no service has.
func (k Key) IsZero() bool { return k == Key{} }

// Canonical returns nil if k is as Parse returns it. Otherwise it returns an *Error with the violations.
func (k Key) Canonical() error {
	canonical, err := Parse(k.String())
	if err != nil {
		return err
	}
	if canonical.Prefix != k.Prefix {
		return notCanonical("prefix", string(k.Prefix), string(canonical.Prefix))
	}
	if canonical.Match != k.Match {
		return notCanonical("match", k.Match.String(), canonical.Match.String())
	}
	return nil
}

func notCanonical(field, given, canonical string) error {
	return &Error{Field: field, Input: shorten(given), Violations: []string{fmt.Sprintf("it is not canonical; write %q", canonical)}}
}

// Compare orders keys by prefix, then by precedence: of two keys that match a request, the lower one gets it.
func (k Key) Compare(other Key) int {
	if order := strings.Compare(string(k.Prefix), string(other.Prefix)); order != 0 {
		return order
	}
	return k.Match.compare(other.Match)
}

// shorten bounds the part of an input that an error quotes.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
