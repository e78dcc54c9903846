// Package egress decides which addresses the server may connect to on behalf of
// others. An address must be public, or granted.
//
// Names cannot be trusted. The owner of a name can point it at the loopback interface, at a private
// network or at a cloud's metadata service, and can change it between a check and its use. The decision
// is therefore made on the resolved address, inside the dialer, for each address before the connection:
//
//	policy := egress.Policy{}
//	dialer := &net.Dialer{ControlContext: policy.Control}
//
// IPv6 is open only where addresses are assigned to the public: 2000::/3 without the blocks of
// the IANA special-purpose registry. Unknown ranges are therefore refused. An address that
// embeds an IPv4 address is judged by the latter if it is IPv4-mapped or of NAT64's well-known
// prefix. Tunnels with an unknown end (6to4, Teredo, IPv4-compatible, local NAT64) are refused.
//
// A Policy is immutable once in use. Everything here is safe for concurrent use.
package egress
