// Package vespo gives guests what only Vespo has: where they are mounted, their settings, and outbound HTTP requests.
//
// It imports the host module "vespo", which ABI.md describes. WebAssembly has no optional imports: a guest that uses a function of
// this package does not start in another http-wasm host, which then says that it has no module "vespo". A guest that does
// not use this package does not import that module. What is missing at run time only (a setting, the permission for an outbound request)
// is told by the call itself.
package vespo

import "github.com/vespo-dev/vespo/guest-sdk/internal/abi"

// Prefix returns the path prefix that this service is mounted at, such as /shop; / for the whole server. It can be called
// while a request is served.
func Prefix() string { return abi.Text(prefix) }

// Rest returns the request's path behind the prefix, still escaped: /item/1 for /shop/item/1. It always begins with a slash.
func Rest() string { return abi.Text(rest) }

// Config returns one setting or secret of this service. It is false if the service has none of this name.
//
// Ask for secrets while a request is served: what is asked for in an init function is part of the snapshot, and remains what
// it was at that time.
func Config(name string) (value string, ok bool) {
	ok = true
	value = abi.Text(func(buf []byte) uint32 {
		n := configGet(name, buf)
		if n < 0 {
			ok = false
			return 0
		}
		return uint32(n)
	})
	return value, ok
}
