package forwarded

import (
	"net/netip"
	"strings"
)

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

// Holder returns the address by which the client's share of a capacity is counted. It is zero if the client has no
// share: a trusted proxy is not a client itself, and an untrusted local proxy would put all its clients under one address.
func (c *Client) Holder() netip.Addr {
	if c.Trusted && c.Remote == c.Peer || strings.HasPrefix(c.Remote, "127.") || strings.HasPrefix(c.Remote, "[::1]:") {
		return netip.Addr{}
	}
	remote, err := netip.ParseAddrPort(c.Remote)
	if err != nil || remote.Addr().Unmap().IsLoopback() {
		return netip.Addr{}
	}
	return Site(remote.Addr())
}
