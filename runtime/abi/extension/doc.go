// Package extension implements the host module "vespo", which guests may import besides
// their ABI. It provides the guest's mount prefix, its settings, outbound requests and key-value stores.
//
// The interface is described in guest-sdk/ABI.md. Calls that
// a guest leaves open are closed at the end of the request.
package extension

// ModuleName is the name that guests import from.
const ModuleName = "vespo"
