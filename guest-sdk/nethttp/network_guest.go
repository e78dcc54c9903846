//go:build wasip1 && !tinygo

package nethttp

import (
	"net"
	"net/http"
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
