package nethttp

import "errors"

// ErrNoNetwork is the error of [net/http.Get] and others that look up a host name in a guest. A guest has no sockets, and
// Go's library has a network within the guest in their place, where no server answers: requests to an IP address fail with
// "Connection refused" alone.
var ErrNoNetwork = errors.New("a guest has no network of its own: use vespohttp.Transport of guest-sdk/vespo/vespohttp as the Transport " +
	"of the http.Client, or set http.DefaultTransport to it, and allow the server with \"vespo add --allow\"")
