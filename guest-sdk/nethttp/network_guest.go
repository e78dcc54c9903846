//go:build wasip1 && !tinygo

package nethttp

import (
	"context"
	"net"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

// refuseNetwork lets the default resolver fail with [ErrNoNetwork]. It does not touch [net/http.DefaultTransport]: a
// reference to that links the client of net/http with HTTP/2 and TLS, 2.7 MB, into programs that make no requests.
func refuseNetwork() {
	if net.DefaultResolver.Dial == nil {
		net.DefaultResolver.PreferGo, net.DefaultResolver.Dial = true, refuse
	}
}

// told reports whether this request has logged the error. Each request begins with the snapshot, so it is false.
var told bool

// refuse is the Dial of a resolver that cannot work. The log has the error even if the guest hides it.
func refuse(context.Context, string, string) (net.Conn, error) {
	if !told {
		told = true
		guest.Log(guest.LevelWarn, "the look-up of a host name has failed: "+ErrNoNetwork.Error())
	}
	return nil, ErrNoNetwork
}
