package scheduler

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/vespo-dev/vespo/internal/durable"
)

// Names in the scheduler's directory.
const (
	stateName = "runs.json"
	stateDir  = "."
	tmpDir    = "tmp"
	asideDir  = "aside"
)

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
type store struct {
	fs    durable.FS
	files *durable.Files
}

// openStore returns the store, and the state. A file that this version did not write is set aside: problem says why, and
// the state is nil.
func openStore(fsys durable.FS) (s *store, state stored, problem, err error) {
	for _, dir := range []string{tmpDir, asideDir} {
		if err := fsys.MkdirAll(dir); err != nil {
			return nil, nil, nil, err
		}
	}
	s = &store{fs: fsys, files: durable.NewFiles(fsys, tmpDir, asideDir)}
	if err := s.files.EmptyTmp(); err != nil {
		return nil, nil, nil, err
	}
	data, err := fsys.ReadFile(stateName, maxStateBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, stored{}, nil, nil
	case err == nil:
		state, err = decodeState(data)
	}
	if err == nil {
		return s, state, nil, fsys.SyncDir(stateDir) // a dead process may have renamed without a sync
	}
	to, asideErr := s.files.SetAside(stateDir, stateName)
	if asideErr != nil {
		return nil, nil, nil, errors.Join(err, asideErr)
	}
	return s, nil, fmt.Errorf("%w; the file is now %s", err, to), nil
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
	return s.files.Write(stateName, data)
}
