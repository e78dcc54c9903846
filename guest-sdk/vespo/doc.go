// Package vespo provides the features that are specific to Vespo: the prefix that a service is mounted at, its settings,
// outbound HTTP requests, and key-value stores.
//
// The package imports the host module "vespo", which ABI.md describes. WebAssembly has no optional imports, so a guest
// that calls a function of this package does not start in other http-wasm hosts. Their error names the missing module.
//
// A missing setting, a missing permission for an outbound request and a missing store are reported by the call.
package vespo

import "github.com/vespo-dev/vespo/guest-sdk/internal/abi"

// Prefix returns the path prefix that this service is mounted at, such as /shop. It is / for a service that serves all
// paths. Prefix returns "" in an init function.
func Prefix() string { return abi.Text(prefix) }

// Rest returns the request's path without the prefix, in its escaped form: /item/1 for the path /shop/item/1 and the
// prefix /shop. It always begins with a slash. Rest returns "" in an init function.
func Rest() string { return abi.Text(rest) }

// Config returns the setting or secret of this service with the given name. If there is none, ok is false.
//
// Call Config in the handler for secrets. A value read in an init function is stored in the snapshot.
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
