// Package egress decides which addresses the server may connect to on behalf of others: an address must be
// public, or it must have been granted.
//
// A name proves nothing: whoever controls it can point it at the loopback interface, at a private network or at a
// cloud's metadata service, and can change it between a check and its use. The decision is therefore made on the
// resolved address, inside the dialer, for each address that is about to be connected:
//
//	policy := egress.Policy{}
//	dialer := &net.Dialer{ControlContext: policy.Control}
//
// IPv6 is open only where addresses are handed out to the public (2000::/3, without the blocks that the IANA
// special-purpose registry takes out of it), so that a range nobody thought of is refused. Addresses that carry an IPv4
// address are judged by what they carry where the carrier is plain (IPv4-mapped, NAT64's well-known prefix), and
// refused where it is a tunnel whose end nobody here can know (6to4, Teredo, IPv4-compatible, local NAT64).
//
// A Policy is immutable once in use; everything here is safe for concurrent use.
package egress
