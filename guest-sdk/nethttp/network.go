package nethttp

import (
	"context"
	"errors"
	"net"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

// ErrNoNetwork is the error of [net/http.Get] and others that use [net/http.DefaultTransport] or look up a host name in a
// guest. A guest has no sockets, and Go's library has a network within the guest in their place, where no server answers.
var ErrNoNetwork = errors.New("a guest has no network of its own: use vespohttp.Transport of guest-sdk/vespo/vespohttp as the Transport " +
	"of the http.Client, or set http.DefaultTransport to it, and allow the server with \"vespo add --allow\"")

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
