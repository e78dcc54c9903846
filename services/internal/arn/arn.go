// Package arn has the names of functions: how a service's prefix is called as a function, and how a function is referred to.
package arn

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The region and the account of all functions here. References may have others.
const (
	Region  = "us-east-1"
	Account = "000000000000"
)

// Latest is the qualifier of what is served now.
const Latest = "$LATEST"

// maxReferenceBytes is the longest reference to a function, as of the Invoke API.
const maxReferenceBytes = 512

// ErrReference is matched by the errors of Parse, whose texts are fit for the client.
var ErrReference = errors.New("not a function")

// rootName is the function at the prefix "/".
const rootName = "root"

// Name gives the name of the function at a prefix. Prefixes of several segments have them joined by "_", which stands also for what no name
// can hold.
func Name(prefix string) string {
	if prefix == "/" {
		return rootName
	}
	return strings.Map(func(c rune) rune {
		if c == '/' || !ValidName(string(c)) {
			return '_'
		}
		return c
	}, strings.Trim(prefix, "/"))
}

// Format gives the ARN of a function; qualifier may be empty.
func Format(name, qualifier string) string {
	full := "arn:aws:lambda:" + Region + ":" + Account + ":function:" + name
	if qualifier != "" {
		full += ":" + qualifier
	}
	return full
}

// Reference is what a request calls a function.
type Reference struct {
	Name      string
	Qualifier string // a version or an alias; empty if none was given
}

// Parse takes "name", "name:qualifier", "account:function:name" and a whole ARN, each of the latter with or without qualifier.
func Parse(reference string) (Reference, error) {
	refuse := func() (Reference, error) {
		return Reference{}, fmt.Errorf("%w: %.200q is neither a name nor an ARN of one", ErrReference, reference)
	}
	if len(reference) > maxReferenceBytes {
		return refuse()
	}
	rest := reference
	if whole, ok := strings.CutPrefix(rest, "arn:"); ok {
		parts := strings.SplitN(whole, ":", 5) // partition, service, region, account, the rest
		if len(parts) != 5 || parts[1] != "lambda" || !strings.HasPrefix(parts[4], "function:") {
			return refuse()
		}
		rest = strings.TrimPrefix(parts[4], "function:")
	} else if _, partial, ok := strings.Cut(rest, ":function:"); ok {
		rest = partial
	}
	name, qualifier, qualified := strings.Cut(rest, ":")
	if !ValidName(name) || qualified && !ValidQualifier(qualifier) {
		return refuse()
	}
	return Reference{Name: name, Qualifier: qualifier}, nil
}

// ValidName tells whether a function can be called so. It may hold what segments of prefixes hold.
func ValidName(name string) bool {
	return name != "" && len(name) <= 170 && !strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`:?#%\"<>`, c)
	})
}

// ValidQualifier tells whether a version or an alias can be called so.
func ValidQualifier(q string) bool {
	if q == Latest {
		return true
	}
	return q != "" && len(q) <= 128 && !strings.ContainsFunc(q, func(c rune) bool {
		return !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_')
	})
}

// versionMark separates a function's prefix from the number of a published version.
const versionMark = "~"

// VersionPrefix returns the prefix of a published version.
func VersionPrefix(base, number string) string { return base + versionMark + number }

// Published splits the prefix of a published version into the prefix of its function and the version number. It reports false for any
// other prefix.
func Published(prefix string) (base, number string, ok bool) {
	at := strings.LastIndex(prefix, versionMark)
	if at < 2 {
		return prefix, "", false
	}
	number = prefix[at+1:]
	if _, err := strconv.ParseUint(number, 10, 31); err != nil || number[0] == '0' {
		return prefix, "", false
	}
	return prefix[:at], number, true
}

// Of returns the name and the version of the function at a prefix. The version is Latest unless the prefix is that of a published one.
func Of(prefix string) (name, version string) {
	if base, number, ok := Published(prefix); ok {
		return Name(base), number
	}
	return Name(prefix), Latest
}
