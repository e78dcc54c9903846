package cluster

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// The file of what a host knows about itself without its store.
const (
	hostFile    = "host.json"
	hostFormat  = "vespo host of a store"
	hostVersion = 1
	maxHostFile = 2 << 20
	// maxKnown is the number of other hosts that are kept.
	maxKnown = 256
	// maxLost is the number of hosts that have left and are kept, for at most lostTime.
	maxLost  = 64
	lostTime = time.Hour
)

// remembered is the file.
type remembered struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Drained bool   `json:"drained"`
	// Hosts are the other hosts among which services choose, as they were when the store was last reached.
	Hosts []knownHost `json:"hosts,omitempty"`
	// Lost are hosts that are not there any more, or whose leases have ended.
	Lost []lostHost `json:"lost,omitempty"`
}

// lostHost is a host that the store does not list any more. It is asked for modules alone.
type lostHost struct {
	knownHost
	Since time.Time `json:"since"`
}

func (h lostHost) equal(o lostHost) bool {
	return h.knownHost.equal(o.knownHost) && h.Since.Equal(o.Since)
}

// knownHost is another host.
type knownHost struct {
	Address     string   `json:"address"`
	Certificate string   `json:"certificate"`
	Token       string   `json:"token"`
	Labels      []string `json:"labels,omitempty"`
	Drained     bool     `json:"drained,omitempty"`
}

func (h knownHost) equal(o knownHost) bool {
	return h.Address == o.Address && h.Certificate == o.Certificate && h.Token == o.Token && h.Drained == o.Drained && slices.Equal(h.Labels, o.Labels)
}

// asKnown returns a host as it is kept.
func asKnown(m Member, drained bool) knownHost {
	return knownHost{Address: m.Address, Certificate: m.Certificate, Token: m.Token, Labels: m.Labels, Drained: drained}
}

// placeable returns the host as one that can hold services.
func (h knownHost) placeable() placeable {
	m := Member{Address: h.Address, Certificate: h.Certificate, Token: h.Token, Labels: h.Labels, Places: true}
	return placeable{address: h.Address, labels: h.Labels, draining: h.Drained, member: m}
}

// known returns the other hosts of a set, to be kept.
func (s hostSet) known() (all []knownHost) {
	for _, h := range s {
		if m := h.member; m.Address != "" && len(all) < maxKnown {
			all = append(all, asKnown(m, h.draining))
		}
	}
	return all
}

// memory keeps the other hosts, and whether this one is to be drained, for starts without the store. Its methods must not be called
// concurrently.
type memory struct {
	file    *durable.Document
	drained bool
	hosts   []knownHost
	lost    []lostHost
}

// openMemory opens the file in a directory of its own. A damaged file is set aside, and damage says why.
func openMemory(fsys durable.FS) (m *memory, damage, err error) {
	m = &memory{}
	m.file, damage, err = durable.OpenDocument(fsys, hostFile, maxHostFile, func(data []byte) error {
		var stored remembered
		if err := json.Unmarshal(data, &stored); err != nil {
			return err
		}
		switch {
		case stored.Format != hostFormat || stored.Version < 1:
			return fmt.Errorf("%s is %.40q, version %d: it is not the file of a host", hostFile, stored.Format, stored.Version)
		case stored.Version > hostVersion:
			return fmt.Errorf("%s has version %d of its format, and this program reads up to %d: %w", hostFile, stored.Version, hostVersion, durable.ErrNewer)
		}
		m.drained, m.hosts, m.lost = stored.Drained, stored.Hosts, stored.Lost
		return nil
	})
	return m, damage, err
}

// set stores whether the host is to be drained, the other hosts and the lost ones, if any of these has changed.
func (m *memory) set(drained bool, hosts []knownHost, lost []lostHost) error {
	if m == nil || m.drained == drained && slices.EqualFunc(m.hosts, hosts, knownHost.equal) && slices.EqualFunc(m.lost, lost, lostHost.equal) {
		return nil
	}
	data, err := json.Marshal(remembered{Format: hostFormat, Version: hostVersion, Drained: drained, Hosts: hosts, Lost: lost})
	if err == nil {
		err = m.file.Write(data)
	}
	if err == nil {
		m.drained, m.hosts, m.lost = drained, hosts, lost
	}
	return err
}

// recallLost makes the hosts that were known before this start lost ones, until the store lists them.
func (n *Node) recallLost(m *memory) {
	now := time.Now().UTC().Round(time.Second)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range m.hosts {
		n.lost = append(n.lost, lostHost{h, now})
	}
	n.lost = append(n.lost, m.lost...)
}

// noteLost keeps the hosts that the store does not list any more, newest first. Listed ones, and those of long ago, are forgotten.
// It reports whether there is a host that was not listed before.
func (n *Node) noteLost(before, others []Member) (fresh bool) {
	listed := func(all []Member, m Member) bool {
		return slices.ContainsFunc(all, func(o Member) bool { return o.Address == m.Address && o.Token == m.Token })
	}
	now := time.Now().UTC().Round(time.Second)
	var lost []lostHost
	for _, m := range before {
		if !listed(others, m) {
			lost = append(lost, lostHost{asKnown(m, false), now})
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	lost = append(lost, n.lost...)
	n.lost = nil
	for _, h := range lost {
		there := func(address string) bool { return h.Address == address }
		known := slices.ContainsFunc(others, func(m Member) bool { return there(m.Address) }) ||
			slices.ContainsFunc(n.lost, func(o lostHost) bool { return there(o.Address) }) || there(n.self.Address)
		if !known && now.Sub(h.Since).Abs() <= lostTime && len(n.lost) < maxLost {
			n.lost = append(n.lost, h)
		}
	}
	return slices.ContainsFunc(others, func(m Member) bool { return !listed(before, m) })
}

// lostHosts returns the hosts that the store does not list any more, newest first.
func (n *Node) lostHosts() []lostHost {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost // replaced, never changed
}

// lostSources returns the lost hosts, for the fetcher, in a random order.
func (n *Node) lostSources() (all []*peer.Host) {
	own := n.Address()
	for _, h := range n.lostHosts() {
		if h.Address == own {
			continue
		}
		if p, err := n.hostOf(h.placeable().member); err == nil {
			all = append(all, p.host)
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}
