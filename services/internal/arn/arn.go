// Package arn maps service prefixes to function names, and parses references to functions.
package arn

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The region and account of all functions of this server. References may name others.
const (
	Region  = "us-east-1"
	Account = "000000000000"
)

// Latest is the qualifier of the version that is currently served.
const Latest = "$LATEST"

// maxReferenceBytes is the maximum length of a function reference in the Invoke API.
const maxReferenceBytes = 512

// ErrReference is matched by the errors of Parse. Their texts are safe to return to the client.
var ErrReference = errors.New("not a function")

// rootName is the name of the function at the prefix "/".
const rootName = "root"

// Name returns the name of the function at a prefix. It joins the segments by "_",
// which also replaces characters that are not allowed in a name.
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

// Format returns the ARN of a function. qualifier may be empty.
func Format(name, qualifier string) string {
	full := "arn:aws:lambda:" + Region + ":" + Account + ":function:" + name
	if qualifier != "" {
		full += ":" + qualifier
	}
	return full
}

// Reference is a parsed reference to a function.
type Reference struct {
	Name      string
	Qualifier string // a version or an alias; empty if absent
}

// Parse accepts "name", "account:function:name" and a full ARN, each with an optional ":qualifier".
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

// ValidName reports whether name is a valid function name. It allows the characters of prefix segments.
func ValidName(name string) bool {
	return name != "" && len(name) <= 170 && !strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`:?#%\"<>`, c)
	})
}

// ValidQualifier reports whether q is a valid version or alias.
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

// Published splits the prefix of a published version into the prefix of its function
// and the version number. It returns false for any other prefix.
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

// Of returns the name and the version of the function at a prefix. The version is
// Latest unless the prefix is that of a published version.
func Of(prefix string) (name, version string) {
	if base, number, ok := Published(prefix); ok {
		return Name(base), number
	}
	return Name(prefix), Latest
}
