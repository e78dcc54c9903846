//go:build wasip1 && !tinygo

package nethttp

import (
	"context"
	"net"
	"net/http"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

// refuseNetwork lets the default transport, its clones and the default resolver fail with [ErrNoNetwork]. A transport
// that the program has set in place of the default one stays.
func refuseNetwork() {
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t.DialContext = refuse
	}
	if net.DefaultResolver.Dial == nil {
		net.DefaultResolver.PreferGo, net.DefaultResolver.Dial = true, refuse
	}
}

// told reports whether this request has logged the error. Each request begins with the snapshot, so it is false.
var told bool

// refuse is the DialContext of transports and the Dial of resolvers that cannot work. The log has the error even if the
// guest hides it.
func refuse(_ context.Context, network, address string) (net.Conn, error) {
	if !told {
		told = true
		guest.Log(guest.LevelWarn, network+" "+address+": "+ErrNoNetwork.Error())
	}
	return nil, ErrNoNetwork
}
