package scheduler

import (
	"encoding/json"
	"fmt"

	"github.com/vespo-dev/vespo/internal/durable"
)

// stateName is the file in the scheduler's directory.
const stateName = "runs.json"

// maxStateBytes is more than the schedules of a server can take.
const maxStateBytes = 32 << 20

// Format of the file.
const (
	formatName    = "vespo schedules"
	formatVersion = 1
)

// stored is what is kept of all schedules, by the key of the service and the text of the schedule.
type stored map[string]map[string]kept

// document is the file.
type document struct {
	Format   string `json:"format"`
	Version  int    `json:"version"`
	Services stored `json:"services"`
}

// store keeps the state in a file.
type store struct{ *durable.Document }

// openStore returns the store, and the state. A file that this version did not write is set aside: problem says why, and
// the state is nil.
func openStore(fsys durable.FS) (s *store, state stored, problem, err error) {
	state = stored{}
	d, problem, err := durable.OpenDocument(fsys, stateName, maxStateBytes, func(data []byte) (err error) {
		state, err = decodeState(data)
		return err
	})
	if problem != nil {
		state = nil
	}
	return &store{d}, state, problem, err
}

func decodeState(data []byte) (stored, error) {
	var d document
	switch err := json.Unmarshal(data, &d); {
	case err != nil:
		return nil, fmt.Errorf("%s is damaged: %w", stateName, err)
	case d.Format != formatName || d.Version != formatVersion:
		return nil, fmt.Errorf("%s is %.40q, version %d: this server reads %q, version %d", stateName, d.Format, d.Version, formatName, formatVersion)
	}
	if d.Services == nil {
		d.Services = stored{}
	}
	return d.Services, nil
}

// save stores the state. It is durable when save returns nil.
func (s *store) save(state stored) error {
	data, err := json.Marshal(document{Format: formatName, Version: formatVersion, Services: state})
	if err != nil {
		return err
	}
	return s.Write(data)
}
