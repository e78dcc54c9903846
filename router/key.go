package router

import "strings"

// Key names what a service is bound to: a prefix, and perhaps a match beside it. No two services have the same.
type Key struct {
	Prefix Prefix
	Match  Match
}

// ParseKey reads what String gives; it accepts other spellings of a prefix and of a match too. The error is a *PrefixError or a *MatchError.
func ParseKey(s string) (Key, error) {
	path, condition, conditional := strings.Cut(s, " ")
	prefix, err := ParsePrefix(path)
	if err != nil {
		return Key{}, err
	}
	if conditional && condition == "" {
		condition = " " // refused
	}
	match, err := ParseMatch(condition)
	if err != nil {
		return Key{}, err
	}
	return Key{Prefix: prefix, Match: match}, nil
}

// String gives the canonical text, "/a/b" or "/a/b Host: iam". A prefix has no space, so that one text has one meaning.
func (k Key) String() string {
	if k.Match == (Match{}) {
		return string(k.Prefix)
	}
	return string(k.Prefix) + " " + k.Match.String()
}

// valid reports whether k is the canonical form of itself.
func (k Key) valid() bool {
	canonical, err := ParseKey(k.String())
	return err == nil && canonical == k
}

// Compare orders keys by prefix, and those of one prefix by precedence: the first is the one that a request goes to.
func (k Key) Compare(other Key) int {
	if order := strings.Compare(string(k.Prefix), string(other.Prefix)); order != 0 {
		return order
	}
	return k.Match.compare(other.Match)
}
