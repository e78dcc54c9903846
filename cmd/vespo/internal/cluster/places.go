package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/egress/forward"
	"github.com/vespo-dev/vespo/services/placement"
)

// lingerTime is how long this host goes on with a service that has moved: the other hosts see that somewhat later, and the next
// holder has to prepare it.
const lingerTime = 30 * time.Second

// hostSet are the hosts among which services choose, this one included, in the order of their addresses.
type hostSet []placeable

// placeable is a host that can hold services.
type placeable struct {
	address  string
	labels   []string
	draining bool
	member   Member // zero: this host
}

// formerSet is a set of hosts until it was replaced.
type formerSet struct {
	hosts hostSet
	ended time.Time
}

func (s hostSet) equal(o hostSet) bool {
	return slices.EqualFunc(s, o, func(a, b placeable) bool {
		return a.address == b.address && a.draining == b.draining && slices.Equal(a.labels, b.labels)
	})
}

// ranked returns the hosts that can serve a service, best first, and the number of its holders among them. Draining hosts are
// last, and hold it only if there is no other.
func (s hostSet) ranked(service string, p placement.Placement) (all hostSet, holders int) {
	fitting := slices.DeleteFunc(slices.Clone(s), func(h placeable) bool { return !p.Fits(h.labels) })
	names := make([]string, len(fitting))
	for i, h := range fitting {
		names[i] = h.address
	}
	var draining hostSet
	for _, i := range placement.Ranked(service, names) {
		if fitting[i].draining {
			draining = append(draining, fitting[i])
		} else {
			all = append(all, fitting[i])
		}
	}
	holders = len(all)
	if all = append(all, draining...); holders == 0 {
		holders = len(all)
	}
	if p.Replicas > 0 {
		holders = min(holders, p.Replicas)
	}
	return all, holders
}

// holds reports whether a host is among the holders of a service. Its own mark does not count: while it is drained, it keeps what it has.
func (s hostSet) holds(address, service string, p placement.Placement) bool {
	own := slices.Clone(s)
	for i := range own {
		own[i].draining = own[i].draining && own[i].address != address
	}
	all, holders := own.ranked(service, p)
	return slices.ContainsFunc(all[:holders], func(h placeable) bool { return h.address == address })
}

// notePlaces remembers the hosts among which services choose, and lets Follow look whether services have moved.
func (n *Node) notePlaces(others []Member, drained []string) {
	own := n.Address()
	set := hostSet{{address: own, labels: n.cfg.Labels, draining: slices.Contains(drained, own)}}
	for _, m := range others {
		if m.Places {
			set = append(set, placeable{address: m.Address, labels: m.Labels, draining: slices.Contains(drained, m.Address), member: m})
		}
	}
	n.placesMu.Lock()
	defer n.placesMu.Unlock()
	now := time.Now()
	n.former = slices.DeleteFunc(n.former, func(f formerSet) bool { return now.Sub(f.ended) > lingerTime })
	before := n.places
	n.places = set
	n.lookups.Store(new(lookups))
	switch {
	case before == nil && n.guessed: // what this host serves since a start without the store
		n.signalMoved()
		return
	case before == nil || before.equal(set):
		return
	}
	n.former = append(n.former, formerSet{before, now})
	n.signalMoved()
	time.AfterFunc(lingerTime+time.Second, n.signalMoved)
}

func (n *Node) signalMoved() {
	select {
	case n.moved <- struct{}{}:
	default: // Follow has not looked yet
	}
}

// askFirst asks the store for the other hosts, once at the start. Later ones are known by watchStore: no request waits for the store.
func (n *Node) askFirst() {
	n.placesAsked.Do(func() {
		if n.store.Trouble() == nil {
			n.known()
		}
	})
}

// hostSets returns the present hosts, and those of the last lingerTime. It does not ask the store.
func (n *Node) hostSets() (all []hostSet) {
	n.placesMu.Lock()
	defer n.placesMu.Unlock()
	if n.places == nil {
		n.guessed = true
	}
	all = append(all, n.presentLocked())
	for _, f := range n.former {
		if time.Since(f.ended) <= lingerTime {
			all = append(all, f.hosts)
		}
	}
	return all
}

// presentLocked returns the present hosts. Until the store is reached, they are the hosts of the last contact with it.
func (n *Node) presentLocked() hostSet {
	if n.places != nil {
		return n.places
	}
	own := n.Address()
	others := slices.DeleteFunc(slices.Clone(n.recalled), func(h placeable) bool { return h.address == own })
	return append(hostSet{{address: own, labels: n.cfg.Labels}}, others...)
}

// othersPlaced returns the other hosts among which services choose, to be kept.
func (n *Node) othersPlaced() []knownHost {
	n.placesMu.Lock()
	defer n.placesMu.Unlock()
	return n.presentLocked().known()
}

// Holds implements deploy.Hosts.
func (n *Node) Holds(service string, p placement.Placement) bool {
	if !p.Fits(n.cfg.Labels) {
		return false
	}
	n.askFirst()
	own := n.Address()
	return slices.ContainsFunc(n.hostSets(), func(s hostSet) bool { return s.holds(own, service, p) })
}

// Fits implements deploy.Hosts.
func (n *Node) Fits(p placement.Placement) bool {
	n.askFirst()
	return slices.ContainsFunc(n.hostSets()[0], func(h placeable) bool { return p.Fits(h.labels) })
}

// PassOn implements deploy.Hosts.
func (n *Node) PassOn(s registry.Service, k deploy.Known) deploy.Elsewhere {
	cfg := forward.PlacedConfig{Service: s, State: forward.State(k.State), Own: k.Own, Instead: k.Instead, Once: k.Soon}
	if before, ok := k.Before.(*forward.Placed); ok {
		cfg.Before = before.Served()
	} else if k.Here != nil {
		cfg.Before = (*forward.State)(k.Here)
	}
	return n.forward.Placed(cfg)
}

// lookups are the holders of services among the hosts that the store has last returned.
type lookups struct{ byService sync.Map } // of string to holding

// holding are the holders of a service with a placement. It is immutable.
type holding struct {
	of    placement.Placement
	peers []*forward.Peer
	equal int
}

// holders returns the other hosts of a placed service, for the forwarder. They are looked up once for each answer of the store.
func (n *Node) holders(service string, p placement.Placement) (peers []*forward.Peer, equal int) {
	known := n.lookups.Load() // before the hosts are read
	if known == nil {
		return n.lookUp(service, p)
	}
	if got, ok := known.byService.Load(service); ok {
		if h := got.(holding); h.of.Replicas == p.Replicas && slices.Equal(h.of.On, p.On) {
			return h.peers, h.equal
		}
	}
	peers, equal = n.lookUp(service, p)
	known.byService.Store(service, holding{p, peers, equal})
	return peers, equal
}

// lookUp returns the holders. Hosts that have announced a failure of the service are last, unless all holders have.
func (n *Node) lookUp(service string, p placement.Placement) (peers []*forward.Peer, equal int) {
	all, holders := n.hostSets()[0].ranked(service, p)
	working, failing := n.peersOf(service, all[:holders])
	others, failingToo := n.peersOf(service, all[holders:])
	if len(working) == 0 {
		working, failing = failing, nil
	}
	return slices.Concat(working, others, failing, failingToo), len(working)
}

// peersOf returns the working hosts and the failing ones of a service, without this host.
func (n *Node) peersOf(service string, hosts hostSet) (working, failing []*forward.Peer) {
	for _, h := range hosts {
		if h.member.Address == "" {
			continue
		}
		known, err := n.hostOf(h.member)
		switch {
		case err != nil:
		case slices.Contains(h.member.Unavailable, service):
			failing = append(failing, known.forward)
		default:
			working = append(working, known.forward)
		}
	}
	return working, failing
}

var _ deploy.Hosts = (*Node)(nil)
