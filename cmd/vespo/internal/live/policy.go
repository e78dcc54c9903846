package live

import (
	"net/http"
	"slices"
	"strings"
)

// policyAdmits reports whether the content security policies of a document admit a script of its origin that
// connects to that origin, and returns the nonce that the script must have, which may be empty. Policies that only
// report count too: their reports would not be about the service.
//
// Where the rules have cases that it does not know, it answers no. See https://www.w3.org/TR/CSP3/.
func policyAdmits(h http.Header) (nonce string, ok bool) {
	for _, name := range [...]string{"Content-Security-Policy", "Content-Security-Policy-Report-Only"} {
		for _, field := range h.Values(name) {
			for policy := range strings.SplitSeq(field, ",") {
				required, ok := parsePolicy(policy).admits()
				if !ok || nonce != "" && required != "" && nonce != required {
					return "", false
				}
				if required != "" {
					nonce = required
				}
			}
		}
	}
	return nonce, true
}

// policy has the values of the directives by their names.
type policy map[string][]string

func parsePolicy(text string) policy {
	p := make(policy)
	for directive := range strings.SplitSeq(text, ";") {
		words := strings.Fields(directive)
		if len(words) == 0 {
			continue
		}
		name := strings.ToLower(words[0])
		if _, twice := p[name]; !twice { // the first one counts
			p[name] = words[1:]
		}
	}
	return p
}

// admits is policyAdmits for one policy.
func (p policy) admits() (nonce string, ok bool) {
	if tokens, sandboxed := p["sandbox"]; sandboxed && !(contains(tokens, "allow-scripts") && contains(tokens, "allow-same-origin")) {
		return "", false
	}
	if sources, limited := p.first("connect-src", "default-src"); limited && !ownOrigin(sources) {
		return "", false
	}
	sources, limited := p.first("script-src-elem", "script-src", "default-src")
	if !limited {
		return "", true
	}
	for _, s := range sources {
		if len(s) > len("'nonce-'") && strings.EqualFold(s[:len("'nonce-")], "'nonce-") && strings.HasSuffix(s, "'") {
			return s[len("'nonce-") : len(s)-1], true
		}
	}
	return "", ownOrigin(sources) && !contains(sources, "'strict-dynamic'")
}

// first returns the value of the first of these directives that the policy has.
func (p policy) first(names ...string) (sources []string, found bool) {
	for _, name := range names {
		if sources, found := p[name]; found {
			return sources, true
		}
	}
	return nil, false
}

// ownOrigin reports whether a list of sources includes the origin of the document.
func ownOrigin(sources []string) bool { return contains(sources, "'self'") || contains(sources, "*") }

func contains(words []string, word string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, word) })
}
