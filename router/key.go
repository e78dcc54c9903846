package router

import "strings"

// Key is the route key: a path prefix and an optional header match. Keys are unique among services.
type Key struct {
	Prefix Prefix
	Match  Match
}

// ParseKey parses the form returned by String. It accepts non-canonical prefixes and
// matches, too. The error is a *PrefixError or a *MatchError.
func ParseKey(s string) (Key, error) {
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

// String returns the canonical text, "/a/b" or "/a/b Host: iam". Prefixes contain no
// space, so the text is unambiguous.
func (k Key) String() string {
	if k.Match == (Match{}) {
		return string(k.Prefix)
	}
	return string(k.Prefix) + " " + k.Match.String()
}

// valid reports whether k is canonical.
func (k Key) valid() bool {
	canonical, err := ParseKey(k.String())
	return err == nil && canonical == k
}

// Compare orders keys by prefix, then by precedence: of two keys that match a request, the lower one gets it.
func (k Key) Compare(other Key) int {
	if order := strings.Compare(string(k.Prefix), string(other.Prefix)); order != 0 {
		return order
	}
	return k.Match.compare(other.Match)
}
