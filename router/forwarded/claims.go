package forwarded

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// Maximum lengths of a proxy's claims, in bytes.
const (
	maxHostBytes   = 255 + len(":65535")
	maxPrefixBytes = 255
	maxIDBytes     = 128
)

// claims holds the claims of a request's header about its client. In the lists, the
// nearest proxy's element is the last.
type claims struct {
	addresses, schemes, hosts, ports []string
	prefix                           string
}

// claimsOf reads the X-Forwarded fields. Forwarded is read only if none of them is
// present: a proxy that sets them may pass on a client's Forwarded field.
func claimsOf(h http.Header) claims {
	c := claims{
		addresses: list(h["X-Forwarded-For"]),
		schemes:   list(h["X-Forwarded-Proto"]),
		hosts:     list(h["X-Forwarded-Host"]),
		ports:     list(h["X-Forwarded-Port"]),
	}
	if prefixes := h["X-Forwarded-Prefix"]; len(prefixes) == 1 {
		c.prefix = strings.TrimRight(prefixes[0], "/")
	}
	if c.addresses == nil && c.schemes == nil && c.hosts == nil {
		c.addresses, c.schemes, c.hosts = parseForwarded(h["Forwarded"])
	}
	return c
}

// list returns the elements of a list field.
func list(values []string) (all []string) {
	for _, value := range values {
		for element := range strings.SplitSeq(value, ",") {
			all = append(all, strings.Trim(element, " \t"))
		}
	}
	return all
}

// parseForwarded parses the Forwarded field, RFC 7239. A parameter that a proxy left out
// is an empty element. A malformed value is ignored together with all elements before it.
func parseForwarded(values []string) (addresses, schemes, hosts []string) {
	for _, value := range values {
		rest, ok := value, true
		for more := true; more && ok; {
			var e element
			e, rest, more, ok = parseElement(rest)
			addresses, schemes, hosts = append(addresses, e.address), append(schemes, e.scheme), append(hosts, e.host)
		}
		if !ok {
			addresses, schemes, hosts = nil, nil, nil
		}
	}
	return addresses, schemes, hosts
}

// element holds the claims of one proxy.
type element struct{ address, scheme, host string }

// parseElement parses pairs up to a comma. more reports whether there was a comma.
func parseElement(text string) (e element, rest string, more, ok bool) {
	for {
		text = strings.TrimLeft(text, " \t")
		name, after, found := strings.Cut(text, "=")
		if !found || name == "" || strings.ContainsAny(name, " \t,;\"") {
			return e, "", false, false
		}
		value, after, ok := parseValue(after)
		if !ok {
			return e, "", false, false
		}
		switch strings.ToLower(name) {
		case "for":
			e.address = value
		case "proto":
			e.scheme = value
		case "host":
			e.host = value
		}
		after = strings.TrimLeft(after, " \t")
		switch {
		case after == "":
			return e, "", false, true
		case after[0] == ',':
			return e, after[1:], true, true
		case after[0] != ';':
			return e, "", false, false
		}
		text = after[1:]
	}
}

// parseValue parses a token or a quoted string.
func parseValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, ",; \t\"")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:], end > 0
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return b.String(), text[i+1:], true
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}

// parseNode parses an address, optionally with brackets and a port.
func parseNode(text string) (netip.AddrPort, bool) {
	if source, err := netip.ParseAddrPort(text); err == nil {
		return netip.AddrPortFrom(source.Addr().Unmap(), source.Port()), source.Addr().Zone() == ""
	}
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	addr, err := netip.ParseAddr(text)
	return netip.AddrPortFrom(addr.Unmap(), 0), err == nil && addr.Zone() == ""
}

// parseScheme parses the scheme used by the client. Proxies may report WebSocket schemes.
func parseScheme(text string) (string, bool) {
	switch strings.ToLower(text) {
	case "http", "ws":
		return "http", true
	case "https", "wss":
		return "https", true
	}
	return "", false
}

// validHost reports whether host is a host with an optional port, without characters
// that are special in a URL.
func validHost(host string) bool {
	return host != "" && len(host) <= maxHostBytes && !strings.ContainsFunc(host, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~:[]", r))
	})
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && portText(uint16(n)) == port
}

func portText(port uint16) string { return strconv.FormatUint(uint64(port), 10) }

// validPrefix reports whether prefix is a path of plain segments.
func validPrefix(prefix string) bool {
	if prefix == "" || len(prefix) > maxPrefixBytes || prefix[0] != '/' {
		return false
	}
	for segment := range strings.SplitSeq(prefix[1:], "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._~", r))
		}) {
			return false
		}
	}
	return true
}
