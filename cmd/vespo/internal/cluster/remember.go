package cluster

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/vespo-dev/vespo/internal/durable"
)

// The file of what a host knows about itself without its store.
const (
	hostFile    = "host.json"
	hostFormat  = "vespo host of a store"
	hostVersion = 1
	maxHostFile = 2 << 20
	// maxKnown is the number of other hosts that are kept.
	maxKnown = 256
)

// remembered is the file.
type remembered struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Drained bool   `json:"drained"`
	// Hosts are the other hosts among which services choose, as they were when the store was last reached.
	Hosts []knownHost `json:"hosts,omitempty"`
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

// placeable returns the host as one that can hold services.
func (h knownHost) placeable() placeable {
	m := Member{Address: h.Address, Certificate: h.Certificate, Token: h.Token, Labels: h.Labels, Places: true}
	return placeable{address: h.Address, labels: h.Labels, draining: h.Drained, member: m}
}

// known returns the other hosts of a set, to be kept.
func (s hostSet) known() (all []knownHost) {
	for _, h := range s {
		if m := h.member; m.Address != "" && len(all) < maxKnown {
			all = append(all, knownHost{Address: m.Address, Certificate: m.Certificate, Token: m.Token, Labels: h.labels, Drained: h.draining})
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
		m.drained, m.hosts = stored.Drained, stored.Hosts
		return nil
	})
	return m, damage, err
}

// set stores whether the host is to be drained, and the other hosts, if either has changed.
func (m *memory) set(drained bool, hosts []knownHost) error {
	if m == nil || m.drained == drained && slices.EqualFunc(m.hosts, hosts, knownHost.equal) {
		return nil
	}
	data, err := json.Marshal(remembered{Format: hostFormat, Version: hostVersion, Drained: drained, Hosts: hosts})
	if err == nil {
		err = m.file.Write(data)
	}
	if err == nil {
		m.drained, m.hosts = drained, hosts
	}
	return err
}
