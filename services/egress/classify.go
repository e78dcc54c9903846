package egress

import (
	"encoding/binary"
	"net/netip"
)

// Class is the kind of destination of an address, in words for a user.
type Class string

// The classes. Without a grant, only Public addresses may be connected to.
const (
	Public      Class = "public"
	Loopback    Class = "loopback"
	Private     Class = "private"
	Shared      Class = "carrier-grade NAT"
	LinkLocal   Class = "link-local"
	Metadata    Class = "cloud metadata"
	Multicast   Class = "multicast"
	Unspecified Class = "unspecified"
	Tunnel      Class = "tunnel"
	Reserved    Class = "reserved"
)

// block is one row of the tables below.
type block struct {
	prefix netip.Prefix
	class  Class
}

// blocks returns the special-purpose blocks of the IANA registries (RFC 6890 and its successors),
// most specific first. It is a function, not a variable, so the package has no mutable state.
func blocks() [36]block {
	return [...]block{
		// Metadata services of the large clouds. They give credentials to every client that can connect.
		{v4(169, 254, 169, 254, 32), Metadata},
		{v4(169, 254, 170, 2, 32), Metadata},
		{v4(169, 254, 170, 23, 32), Metadata},
		{v4(100, 100, 100, 200, 32), Metadata},
		{v6(0xfd00_0ec2_0000_0000, 0x0254, 128), Metadata},
		{v6(0xfd00_0ec2_0000_0000, 0x0023, 128), Metadata},
		{v6(0xfd20_00ce_0000_0000, 0x0254, 128), Metadata},

		{v4(0, 0, 0, 0, 8), Unspecified},
		{v4(10, 0, 0, 0, 8), Private},
		{v4(100, 64, 0, 0, 10), Shared},
		{v4(127, 0, 0, 0, 8), Loopback},
		{v4(169, 254, 0, 0, 16), LinkLocal},
		{v4(172, 16, 0, 0, 12), Private},
		{v4(192, 0, 0, 0, 24), Reserved},
		{v4(192, 0, 2, 0, 24), Reserved},
		{v4(192, 88, 99, 0, 24), Tunnel},
		{v4(192, 168, 0, 0, 16), Private},
		{v4(198, 18, 0, 0, 15), Reserved},
		{v4(198, 51, 100, 0, 24), Reserved},
		{v4(203, 0, 113, 0, 24), Reserved},
		{v4(224, 0, 0, 0, 4), Multicast},
		{v4(240, 0, 0, 0, 4), Reserved},

		{v6(0, 0, 128), Unspecified},
		{v6(0, 1, 128), Loopback},
		{v6(0, 0, 96), Tunnel},                     // IPv4-compatible, deprecated
		{v6(0x0064_ff9b_0001_0000, 0, 48), Tunnel}, // NAT64 with a locally chosen layout
		{v6(0x2001_0000_0000_0000, 0, 32), Tunnel}, // Teredo
		{v6(0x2001_0000_0000_0000, 0, 23), Reserved},
		{v6(0x2001_0db8_0000_0000, 0, 32), Reserved},
		{v6(0x2002_0000_0000_0000, 0, 16), Tunnel}, // 6to4
		{v6(0x3fff_0000_0000_0000, 0, 20), Reserved},
		{v6(0xfc00_0000_0000_0000, 0, 7), Private},
		{v6(0xfe80_0000_0000_0000, 0, 10), LinkLocal},
		{v6(0xfec0_0000_0000_0000, 0, 10), Private}, // site-local, deprecated
		{v6(0xff00_0000_0000_0000, 0, 8), Multicast},
		{v6(0x2000_0000_0000_0000, 0, 3), Public},
	}
}

// Classify returns the class of addr. An address that carries its IPv4 destination has
// the class of that destination. The zero Addr is Reserved.
func Classify(addr netip.Addr) Class {
	if !addr.IsValid() {
		return Reserved
	}
	dest := destination(addr)
	for _, b := range blocks() {
		if b.prefix.Contains(dest) {
			return b.class
		}
	}
	if dest.Is4() {
		return Public
	}
	return Reserved
}

// destination returns the address at which a connection to addr ends, without a zone. For IPv4-mapped
// addresses (RFC 4291) and NAT64's well-known prefix 64:ff9b::/96 (RFC 6052), it is the IPv4 address.
func destination(addr netip.Addr) netip.Addr {
	addr = addr.WithZone("").Unmap()
	if v6(0x0064_ff9b_0000_0000, 0, 96).Contains(addr) {
		b := addr.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr
}

func v4(a, b, c, d byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c, d}), bits)
}

func v6(high, low uint64, bits int) netip.Prefix {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], high)
	binary.BigEndian.PutUint64(b[8:], low)
	return netip.PrefixFrom(netip.AddrFrom16(b), bits)
}
