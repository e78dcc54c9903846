package forwarded

import "net/netip"

// siteBits is the prefix length of the network assigned to one IPv6 site.
const siteBits = 64

// Site returns the address by which a client is counted: an IPv4 address itself, or the
// /64 network of an IPv6 address.
func Site(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() || !addr.IsValid() {
		return addr
	}
	prefix, _ := addr.Prefix(siteBits) // no error: siteBits is valid for IPv6
	return prefix.Addr()
}
