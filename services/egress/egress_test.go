package egress_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/egress"
)

func TestClassify(t *testing.T) {
	tests := []struct {
		addr string
		want egress.Class
	}{
		{"8.8.8.8", egress.Public},
		{"1.1.1.1", egress.Public},
		{"223.255.255.255", egress.Public},
		{"2606:4700:4700::1111", egress.Public},
		{"2a00:1450:4001:830::200e", egress.Public},
		{"2001:4860:4860::8888", egress.Public},

		{"0.0.0.0", egress.Unspecified},
		{"0.1.2.3", egress.Unspecified},
		{"::", egress.Unspecified},
		{"127.0.0.1", egress.Loopback},
		{"127.255.255.254", egress.Loopback},
		{"::1", egress.Loopback},

		{"9.255.255.255", egress.Public},
		{"10.0.0.0", egress.Private},
		{"10.255.255.255", egress.Private},
		{"11.0.0.0", egress.Public},
		{"172.15.255.255", egress.Public},
		{"172.16.0.1", egress.Private},
		{"172.31.255.255", egress.Private},
		{"172.32.0.0", egress.Public},
		{"192.168.1.1", egress.Private},
		{"192.169.0.0", egress.Public},
		{"fc00::1", egress.Private},
		{"fdff:ffff::1", egress.Private},
		{"fec0::1", egress.Private},

		{"100.63.255.255", egress.Public},
		{"100.64.0.0", egress.Shared},
		{"100.127.255.255", egress.Shared},
		{"100.128.0.0", egress.Public},

		{"169.254.0.1", egress.LinkLocal},
		{"fe80::1", egress.LinkLocal},
		{"fe80::1%eth0", egress.LinkLocal},
		{"febf::1", egress.LinkLocal},

		{"169.254.169.254", egress.Metadata},
		{"169.254.170.2", egress.Metadata},
		{"100.100.100.200", egress.Metadata},
		{"fd00:ec2::254", egress.Metadata},
		{"fd20:ce::254", egress.Metadata},

		{"224.0.0.1", egress.Multicast},
		{"239.255.255.255", egress.Multicast},
		{"ff02::1", egress.Multicast},

		{"192.0.0.1", egress.Reserved},
		{"192.0.2.1", egress.Reserved},
		{"198.18.0.1", egress.Reserved},
		{"198.19.255.255", egress.Reserved},
		{"198.51.100.1", egress.Reserved},
		{"203.0.113.1", egress.Reserved},
		{"240.0.0.1", egress.Reserved},
		{"255.255.255.255", egress.Reserved},
		{"100::1", egress.Reserved},
		{"2001:2::1", egress.Reserved},
		{"2001:db8::1", egress.Reserved},
		{"3fff::1", egress.Reserved},
		{"4000::1", egress.Reserved},
		{"5f00::1", egress.Reserved},

		{"::ffff:8.8.8.8", egress.Public},
		{"::ffff:127.0.0.1", egress.Loopback},
		{"::ffff:10.1.2.3", egress.Private},
		{"::ffff:169.254.169.254", egress.Metadata},
		{"::ffff:0.0.0.0", egress.Unspecified},
		{"::ffff:127.0.0.1%eth0", egress.Loopback},

		{"64:ff9b::8.8.8.8", egress.Public},
		{"64:ff9b::7f00:1", egress.Loopback},
		{"64:ff9b::10.0.0.1", egress.Private},
		{"64:ff9b::169.254.169.254", egress.Metadata},
		{"64:ff9b:1::8.8.8.8", egress.Tunnel},
		{"64:ff9b:0:1::8.8.8.8", egress.Reserved},

		{"2002:7f00:1::", egress.Tunnel},
		{"2002:808:808::1", egress.Tunnel},
		{"2001::1", egress.Tunnel},
		{"::127.0.0.1", egress.Tunnel},
		{"192.88.99.1", egress.Tunnel},
	}
	for _, tt := range tests {
		t.Run(tt.addr, func(t *testing.T) {
			addr := netip.MustParseAddr(tt.addr)
			require.Equal(t, tt.want, egress.Classify(addr))
			err := egress.Policy{}.Check(addr)
			if tt.want == egress.Public {
				require.NoError(t, err)
				return
			}
			var refused *egress.RefusedError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, egress.RefusedError{Addr: addr, Class: tt.want}, *refused)
			require.Contains(t, err.Error(), string(tt.want))
		})
	}
	require.Equal(t, egress.Reserved, egress.Classify(netip.Addr{}))
}

func TestPolicyGrants(t *testing.T) {
	tests := []struct {
		name    string
		granted []string
		addr    string
		allowed bool
	}{
		{"a block", []string{"10.0.0.0/8"}, "10.1.2.3", true},
		{"another block", []string{"10.0.0.0/8"}, "192.168.0.1", false},
		{"mapped form of a granted address", []string{"10.0.0.0/8"}, "::ffff:10.1.2.3", true},
		{"NAT64 form of a granted address", []string{"10.0.0.0/8"}, "64:ff9b::10.1.2.3", true},
		{"NAT64 prefix granted opens nothing within", []string{"64:ff9b::/96"}, "64:ff9b::127.0.0.1", false},
		{"with a zone", []string{"fe80::/10"}, "fe80::1%eth0", true},
		{"all of IPv4 does not grant IPv6", []string{"0.0.0.0/0"}, "::1", false},
		{"all of IPv4 does not grant metadata", []string{"0.0.0.0/0"}, "169.254.169.254", false},
		{"metadata by its own address", []string{"169.254.169.254/32"}, "169.254.169.254", true},
		{"6to4 when granted", []string{"2002::/16"}, "2002:7f00:1::1", true},
		{"public needs none", []string{"10.0.0.0/8"}, "8.8.8.8", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p egress.Policy
			for _, g := range tt.granted {
				p.Granted = append(p.Granted, netip.MustParsePrefix(g))
			}
			err := p.Check(netip.MustParseAddr(tt.addr))
			if tt.allowed {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
		})
	}
}

func TestLocalNetworks(t *testing.T) {
	p := egress.Policy{Granted: egress.LocalNetworks()}
	for _, s := range []string{"127.0.0.1", "::1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "fd00::1"} {
		require.NoError(t, p.Check(netip.MustParseAddr(s)), s)
	}
	for _, s := range []string{"169.254.169.254", "100.100.100.200", "fd00:ec2::254", "169.254.0.1", "fe80::1", "0.0.0.0", "224.0.0.1", "2002:a00:1::"} {
		require.Error(t, p.Check(netip.MustParseAddr(s)), s)
	}
}

// All notations that resolvers accept, and a name, must be refused: the check sees the dialled address.
func TestControlSeesResolvedAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)

	closed := net.Dialer{ControlContext: egress.Policy{}.Control}
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1", "0.0.0.0", "::"} {
		_, err := closed.DialContext(context.Background(), "tcp", net.JoinHostPort(host, port))
		var refused *egress.RefusedError
		require.ErrorAs(t, err, &refused, host)
	}

	open := net.Dialer{ControlContext: egress.Policy{Granted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}.Control}
	conn, err := open.DialContext(context.Background(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func TestControlRefusesWhatItCannotJudge(t *testing.T) {
	for _, address := range []string{"", "/run/some.sock", "name:80", "127.0.0.1"} {
		err := egress.Policy{Granted: egress.LocalNetworks()}.Control(context.Background(), "tcp", address, nil)
		var refused *egress.RefusedError
		require.ErrorAs(t, err, &refused, address)
		require.NotEmpty(t, err.Error())
	}
}

// Every embedding of an IPv4 address must be classified like the plain address, or refused.
func FuzzClassifyCarriers(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add([]byte{8, 8, 8, 8})
	f.Add([]byte{169, 254, 169, 254})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 {
			return
		}
		plain := netip.AddrFrom4([4]byte(b))
		want := egress.Classify(plain)
		require.Equal(t, want, egress.Classify(netip.AddrFrom16(plain.As16())))
		nat64 := [16]byte{0, 0x64, 0xff, 0x9b, 12: b[0], 13: b[1], 14: b[2], 15: b[3]}
		require.Equal(t, want, egress.Classify(netip.AddrFrom16(nat64)))
		sixToFour := [16]byte{0x20, 0x02, b[0], b[1], b[2], b[3]}
		require.Equal(t, egress.Tunnel, egress.Classify(netip.AddrFrom16(sixToFour)))
		if len(b) >= 16 {
			addr := netip.AddrFrom16([16]byte(b))
			if egress.Classify(addr) == egress.Public && addr.Is6() && !addr.Is4In6() {
				require.True(t, addr.IsGlobalUnicast())
				require.False(t, addr.IsPrivate())
			}
		}
	})
}
