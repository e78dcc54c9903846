package cluster

import (
	"slices"

	"github.com/vespo-dev/vespo/services/egress/forward"
)

// Forwarder returns the forwarder of requests to other hosts.
func (n *Node) Forwarder() *forward.Forwarder { return n.forward }

// home returns the host that is the home of a service; nil if that is this one. It does not wait for the store.
func (n *Node) home(service string) *forward.Peer {
	candidates := n.candidates()
	names := make([]string, 0, len(candidates)+1)
	for _, m := range candidates {
		names = append(names, m.Address)
	}
	if !n.Draining() {
		names = append(names, n.Address())
	}
	i := forward.Home(service, names)
	if i < 0 || i == len(candidates) {
		return nil
	}
	p, err := n.hostOf(candidates[i])
	if err != nil {
		return nil
	}
	return p.forward
}

// countHomes returns the number of the other hosts that can be homes.
func (n *Node) countHomes() int { return len(n.candidates()) }

func (n *Node) candidates() []Member {
	if all := n.homes.Load(); all != nil {
		return *all
	}
	return nil
}

// noteHomes remembers the possible homes among the other hosts: hosts that forward, and are not to be drained.
func (n *Node) noteHomes(others []Member, drained []string) {
	homes := slices.DeleteFunc(slices.Clone(others), func(m Member) bool { return !m.Forwards || slices.Contains(drained, m.Address) })
	n.homes.Store(&homes)
}
