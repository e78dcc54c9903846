// Package extension is the host module "vespo": what guests can ask of Vespo beside their ABI. Where they are mounted,
// their settings, and outbound requests.
//
// The interface is described in guest-sdk/ABI.md. Calls that a guest leaves open are closed at the end of the request.
package extension

// ModuleName is the name that guests import from.
const ModuleName = "vespo"
