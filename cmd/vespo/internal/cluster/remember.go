package cluster

import (
	"encoding/json"
	"fmt"

	"github.com/vespo-dev/vespo/internal/durable"
)

// The file of what a host knows about itself without its store.
const (
	hostFile    = "host.json"
	hostFormat  = "vespo host of a store"
	hostVersion = 1
	maxHostFile = 64 << 10
)

// remembered is the file.
type remembered struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Drained bool   `json:"drained"`
}

// memory keeps whether the host is to be drained, for starts without the store. Its methods must not be called concurrently.
type memory struct {
	file    *durable.Document
	drained bool
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
		m.drained = stored.Drained
		return nil
	})
	return m, damage, err
}

// set stores whether the host is to be drained.
func (m *memory) set(drained bool) error {
	if m == nil || m.drained == drained {
		return nil
	}
	data, err := json.Marshal(remembered{Format: hostFormat, Version: hostVersion, Drained: drained})
	if err == nil {
		err = m.file.Write(data)
	}
	if err == nil {
		m.drained = drained
	}
	return err
}
