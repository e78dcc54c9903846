package proxy

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/problem"
)

const maxRuleBytes = 4 << 10

// hopHeaders apply to a single connection, RFC 9110 section 7.6.1. httputil.ReverseProxy handles them.
var hopHeaders = []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "Content-Length"}

// requestHeadersOfOurs cannot be changed by rules. Upstreams
// rely on them, this server's own management API included.
var requestHeadersOfOurs = append([]string{"Host", "Expect", "Forwarded", "Via", "X-Request-Id", "X-Real-Ip"}, hopHeaders...)

// responseHeadersOfOurs cannot be changed by rules.
var responseHeadersOfOurs = append([]string{"X-Request-Id"}, hopHeaders...)

// rule sets a header to values, or removes it if there are none.
type rule struct {
	name   string // canonical
	values []string
}

type rules []rule

// apply applies the rules to h.
func (rs rules) apply(h http.Header) {
	for _, r := range rs {
		if len(r.values) == 0 {
			delete(h, r.name)
			continue
		}
		h[r.name] = slices.Clone(r.values)
	}
}

// parseRules parses the rules of a document field. No rule may change a header in ours.
func parseRules(field string, texts []string, ours []string) (rs rules, violations problem.Violations) {
	if len(texts) > maxRules {
		return nil, []problem.Violation{problem.Violate(field, "is given %d times: at most %d rules are accepted", len(texts), maxRules)}
	}
	for _, text := range texts {
		name, value, wrong := parseRule(text, ours)
		i := slices.IndexFunc(rs, func(r rule) bool { return r.name == name })
		switch {
		case wrong != "":
			violations.Add(field, "%s", wrong)
		case i < 0 && value == "":
			rs = append(rs, rule{name: name})
		case i < 0:
			rs = append(rs, rule{name: name, values: []string{value}})
		case value == "" || len(rs[i].values) == 0:
			violations.Add(field, "%.60q is both removed and given, or removed twice", name)
		case httpfield.Single(name):
			violations.Add(field, "%.60q is given twice: a message has one value of it", name)
		default:
			rs[i].values = append(rs[i].values, value)
		}
	}
	return rs, violations
}

// parseRule parses "Name: value" or "Name:". The value may be a secret, so messages never contain it.
func parseRule(text string, ours []string) (name, value, wrong string) {
	name, value, found := strings.Cut(text, ":")
	value = strings.Trim(value, " \t")
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case !found:
		return "", "", `must be "Name: value", or "Name:" to remove the header`
	case !httpfield.ValidName(name):
		return "", "", fmt.Sprintf("%.60q: it is not the name of a header", name)
	case len(text) > maxRuleBytes:
		return "", "", fmt.Sprintf("%.60q: it is longer than %d bytes", canonical, maxRuleBytes)
	case slices.Contains(ours, canonical) || strings.HasPrefix(canonical, forwardedPrefix):
		return "", "", fmt.Sprintf("%.60q: this header is the server's to set", canonical)
	case !httpfield.ValidValue(value):
		return "", "", fmt.Sprintf("%.60q: its value has a control character", canonical)
	}
	return canonical, value, ""
}
