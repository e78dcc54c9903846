// Package forwarded determines the client of a request, once for each request: address, scheme,
// host and request id. The client is the peer of the TCP connection, unless that is a trusted
// proxy, whose claims are then accepted. Other claims are removed, so that no service sees them.
package forwarded

import (
	"fmt"
	"net/netip"
	"strings"
)

// PrivateRanges denotes private networks and loopback addresses in ParseTrust.
const PrivateRanges = "private_ranges"

// privateRanges are the networks of PrivateRanges.
var privateRanges = [...]string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fd00::/8", "::1/128"}

// Trust is the set of the addresses of trusted proxies. It is immutable; a nil Trust is empty.
type Trust struct{ networks []netip.Prefix }

// ParseTrust parses texts, each an address, a CIDR or PrivateRanges. The error is about
// the first invalid text.
func ParseTrust(texts []string) (*Trust, error) {
	t := &Trust{}
	for _, text := range texts {
		if text == PrivateRanges {
			for _, network := range privateRanges {
				t.networks = append(t.networks, netip.MustParsePrefix(network))
			}
			continue
		}
		network, err := parseNetwork(text)
		if err != nil {
			return nil, err
		}
		t.networks = append(t.networks, network)
	}
	return t, nil
}

// parseNetwork parses an address or a CIDR.
func parseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, notNetwork(text)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	switch {
	case err != nil || network.Addr().Is4In6():
		return netip.Prefix{}, notNetwork(text)
	case network != network.Masked():
		return netip.Prefix{}, fmt.Errorf("%.60q has bits beyond its prefix: write %s", text, network.Masked())
	}
	return network, nil
}

func notNetwork(text string) error {
	return fmt.Errorf("%.60q is not a network: write it like 10.0.0.0/8, 192.0.2.7 or %s", text, PrivateRanges)
}

// Contains reports whether addr is the address of a trusted proxy.
func (t *Trust) Contains(addr netip.Addr) bool {
	if t == nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	for _, network := range t.networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// empty reports whether there are no trusted proxies.
func (t *Trust) empty() bool { return t == nil || len(t.networks) == 0 }
