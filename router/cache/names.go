package cache

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
)

// names are the keys of a target in the engine. They are digests: an engine has no targets in its keys.
type names struct {
	service string // mark of the service: a new value makes its answers unusable
	target  string // mark of the target, in all versions: likewise; it exists after a change only
	answers string // of one version: the answer, or the rule by which there are several
}

// namesOf returns the keys of a target of a version.
func namesOf(service, version string, key Key) names {
	return names{
		service: serviceName(service),
		target:  digest("target", service, key.Authority, key.Target),
		answers: digest("answers", service, version, key.Authority, key.Target),
	}
}

func serviceName(service string) string { return digest("service", service) }

// variant returns the key of the answer to a request with the header, if the fields vary select it.
func (n *names) variant(vary []string, h http.Header) string {
	selected := make([]string, len(vary))
	for i, name := range vary {
		selected[i] = selecting(h, name)
	}
	return n.selected(vary, selected)
}

// selected is variant for known values of the fields.
func (n *names) selected(vary, values []string) string {
	parts := []string{"variant", n.answers}
	for i, name := range vary {
		parts = append(parts, name, values[i])
	}
	return digest(parts...)
}

// digest returns a digest of texts, of 192 bits.
func digest(parts ...string) string {
	var b []byte
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}
