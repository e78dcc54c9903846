package cluster

import "github.com/vespo-dev/vespo/services/egress/forward"

// Forwarder returns the forwarder of requests to services that are not loaded here; nil if they are not forwarded.
func (n *Node) Forwarder() *forward.Forwarder { return n.forward }

// home returns the host that is the home of a service; nil if that is this one. Hosts that do not forward are no homes.
func (n *Node) home(service string) *forward.Peer {
	candidates := n.forwarding()
	names := make([]string, 0, len(candidates)+1)
	for _, m := range candidates {
		names = append(names, m.Address)
	}
	i := forward.Home(service, append(names, n.Self().Address))
	if i < 0 || i == len(candidates) {
		return nil
	}
	p, err := n.hostOf(candidates[i])
	if err != nil {
		return nil
	}
	return p.forward
}

// homes returns the number of the other hosts that forward.
func (n *Node) homes() int { return len(n.forwarding()) }

// forwarding returns the other hosts that forward.
func (n *Node) forwarding() (all []Member) {
	for _, m := range n.asked() {
		if m.Forwards {
			all = append(all, m)
		}
	}
	return all
}

// asked returns the other hosts as they were read last. It does not wait for the store, which requests must not.
func (n *Node) asked() []Member {
	if all := n.members.Load(); all != nil {
		return *all
	}
	return nil
}
