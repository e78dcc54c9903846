package oci

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"oras.land/oras-go/v2/registry"
)

// Scheme begins the text of a Reference.
const Scheme = "oci://"

// maxReferenceBytes bounds the text of a reference.
const maxReferenceBytes = 1024

// Reference names a module in a registry. References come from ParseReference.
type Reference struct {
	registry   string
	repository string
	tag        string
	digest     string
}

// ParseReference parses "oci://registry/repository:tag@digest". Without tag and digest, the tag is latest.
func ParseReference(text string) (Reference, error) {
	rest, ok := strings.CutPrefix(text, Scheme)
	if !ok || len(text) > maxReferenceBytes {
		return Reference{}, invalid("the reference %.100q is not of the form oci://registry/repository:tag", text)
	}
	if strings.ContainsAny(rest, "?#") || strings.Contains(strings.Split(rest, "/")[0], "@") {
		return Reference{}, invalid("the reference has a user, a query or a fragment: write it as oci://registry/repository:tag, and log in with \"docker login\"")
	}
	name, digest, pinned := strings.Cut(rest, "@")
	host, path, ok := strings.Cut(name, "/")
	if !ok || host == "" {
		return Reference{}, invalid("the reference %.100q names no repository: write it as oci://registry/repository:tag", text)
	}
	ref := Reference{registry: host, repository: path}
	if colon := strings.LastIndexByte(path, ':'); colon >= 0 {
		if ref.repository, ref.tag = path[:colon], path[colon+1:]; ref.tag == "" {
			return Reference{}, invalid("the reference %.100q has an empty tag", text)
		}
	}
	for _, checked := range []registry.Reference{
		{Registry: host, Repository: ref.repository, Reference: ref.tag},
		{Registry: host, Repository: ref.repository, Reference: digest},
	} {
		if err := checked.Validate(); err != nil {
			return Reference{}, invalid("the reference %.100q is malformed: %s", text, err)
		}
	}
	if pinned {
		if err := (registry.Reference{Registry: host, Repository: ref.repository, Reference: digest}).ValidateReferenceAsDigest(); err != nil {
			return Reference{}, invalid("the reference %.100q has no valid digest behind the @: give sha256: and 64 hexadecimal digits", text)
		}
		ref.digest = digest
	} else if ref.tag == "" {
		ref.tag = "latest"
	}
	return ref, nil
}

// String returns the canonical text.
func (r Reference) String() string {
	text := Scheme + r.registry + "/" + r.repository
	if r.tag != "" {
		text += ":" + r.tag
	}
	if r.digest != "" {
		text += "@" + r.digest
	}
	return text
}

// with returns the reference with the digest that it was resolved to.
func (r Reference) with(digest string) Reference {
	r.digest = digest
	return r
}

// asked returns what to ask a registry for: the digest if there is one, as a tag can move.
func (r Reference) asked() string {
	if r.digest != "" {
		return r.digest
	}
	return r.tag
}

// loopback reports whether the registry is on this machine, by its name.
func (r Reference) loopback() bool {
	host, _, err := net.SplitHostPort(r.registry)
	if err != nil {
		host = r.registry
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func invalid(format string, args ...any) error {
	return &Error{Reason: ErrInvalid, Detail: fmt.Sprintf(format, args...)}
}
