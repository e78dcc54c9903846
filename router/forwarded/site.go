package forwarded

import "net/netip"

// siteBits is the network that one IPv6 site is assigned.
const siteBits = 64

// Site returns what an address counts as where clients have bounds: IPv4 addresses count alone, IPv6 addresses by their /64.
func Site(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() || !addr.IsValid() {
		return addr
	}
	prefix, _ := addr.Prefix(siteBits) // an IPv6 address has that many bits
	return prefix.Addr()
}
