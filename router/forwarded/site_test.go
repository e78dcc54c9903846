package forwarded

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSite(t *testing.T) {
	for given, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::": "2001:db8:1:2::", "fe80::1%eth0": "fe80::", "::1": "::",
	} {
		require.Equal(t, want, Site(netip.MustParseAddr(given)).String(), given)
	}
	require.False(t, Site(netip.Addr{}).IsValid())
}
