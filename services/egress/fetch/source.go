package fetch

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/services/egress/oci"
)

// MaxSourceBytes is the maximum length of an address.
const MaxSourceBytes = 4096

// Source is a validated address of a module. The zero Source is invalid.
type Source struct {
	url *url.URL       // immutable; nil in the zero Source, and for a module in a registry
	ref *oci.Reference // immutable; nil for an address
}

// ParseSource checks the syntax of an address without resolving or connecting. The error is an *Error with
// reason ErrInvalidSource.
func ParseSource(s string) (Source, error) {
	invalid := func(format string, args ...any) (Source, error) {
		return Source{}, &Error{Reason: ErrInvalidSource, Detail: fmt.Sprintf(format, args...)}
	}
	if s == "" {
		return invalid("source is empty: give the http or https address of a module, or one of a registry such as oci://registry.example.com/hello:1.2")
	}
	if len(s) > MaxSourceBytes {
		return invalid("source is %d bytes long: at most %d are taken", len(s), MaxSourceBytes)
	}
	if strings.HasPrefix(s, oci.Scheme) {
		ref, err := oci.ParseReference(s)
		if err != nil {
			return invalid("source: %s", err)
		}
		return Source{ref: &ref}, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		// The parser's error quotes its input, which may contain a password.
		return invalid("source is not a well-formed URL")
	}
	if err := checkURL(u); err != nil {
		return Source{}, err
	}
	return Source{url: u}, nil
}

// String returns the address without credentials, query and fragment, for messages and logs.
func (s Source) String() string {
	switch {
	case s.ref != nil:
		return s.ref.String()
	case s.url == nil:
		return ""
	}
	return redact(s.url)
}

// checkURL checks the rules that a source and each redirect must satisfy.
func checkURL(u *url.URL) error {
	invalid := func(format string, args ...any) error {
		return &Error{Reason: ErrInvalidSource, Detail: fmt.Sprintf(format, args...)}
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return invalid("source has the scheme %q: only http, https and oci are fetched", u.Scheme)
	}
	if u.Opaque != "" || u.Hostname() == "" {
		return invalid("source names no host: write it as %s://host/path", u.Scheme)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return invalid("source has the port %q: it must be between 1 and 65535", port)
		}
	}
	return nil
}

// redact returns the scheme, host and path of u, truncated for a message.
func redact(u *url.URL) string {
	const maxBytes = 200
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	s := shown.String()
	if len(s) > maxBytes {
		s = s[:maxBytes] + "..."
	}
	return s
}
