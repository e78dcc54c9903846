package server

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/internal/problem"
)

// TestAddressesForPeers checks which addresses a host may listen on and announce.
func TestAddressesForPeers(t *testing.T) {
	open := func(context.Context, cluster.Options) (cluster.Store, error) { return nil, nil }
	for addresses, says := range map[[2]string]string{
		{"10.0.0.1:7070", ""}:                 "",
		{"host.internal:0", ""}:               "",
		{"0.0.0.0:7070", "203.0.113.1:17070"}: "",
		{":7070", "host.example.com:17070"}:   "",
		{"0.0.0.0:7070", ""}:                  "peer-listen is \"0.0.0.0:7070\"",
		{":7070", ""}:                         "peer-listen is \":7070\"",
		{"7070", "10.0.0.1:7070"}:             "peer-listen is \"7070\"",
		{"10.0.0.1:7070", "0.0.0.0:7070"}:     "peer-address is \"0.0.0.0:7070\"",
		{"10.0.0.1:7070", "10.0.0.1:0"}:       "peer-address is \"10.0.0.1:0\"",
		{"10.0.0.1:7070", "10.0.0.1"}:         "peer-address is \"10.0.0.1\"",
		{"", "10.0.0.1:7070"}:                 "peer-address needs --peer-listen",
	} {
		s := StoreSettings{Store: "etcd://127.0.0.1/vespo", PeerListen: addresses[0], PeerAddress: addresses[1], OpenStore: open}
		texts := problem.Texts(s.check())
		if says == "" {
			require.Empty(t, texts, "%q", addresses)
			continue
		}
		require.NotEmpty(t, texts, "%q", addresses)
		require.Contains(t, texts[len(texts)-1], says)
	}
}

func TestLabelsOfHosts(t *testing.T) {
	s := StoreSettings{Label: []string{"zone=a", "gpu"}}
	require.Equal(t, []string{"label needs --store: without one there are no other hosts"}, problem.Texts(s.check()))
	s.Store, s.PeerListen = "etcd://127.0.0.1/vespo", "10.0.0.1:7070"
	s.OpenStore = func(context.Context, cluster.Options) (cluster.Store, error) { return nil, nil }
	require.Empty(t, s.check())
	s.Label = append(s.Label, "zone=", "gpu")
	require.Len(t, s.check(), 2)
}
