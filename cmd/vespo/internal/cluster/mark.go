package cluster

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/vespo-dev/vespo/registry"
)

// CopyRecord is the name of the record that marks a copy of a common catalogue in a data directory. Its manifest is a Mark.
const CopyRecord = "store/copy"

// CopyKind is the kind of that record.
const CopyKind = "store"

// Mark says which state of which common catalogue a data directory has a copy of.
type Mark struct {
	Store      string              `json:"store"`     // name of the store
	Catalogue  string              `json:"catalogue"` // identity of the catalogue
	Commit     string              `json:"commit"`    // identity of the commit that has made the state
	Generation registry.Generation `json:"generation"`
}

// On returns a state with the mark, for a data directory. Its generation follows that of before, which the directory has.
func (m Mark) On(state, before *registry.State) (*registry.State, error) {
	object, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	marked := state.PutRecord(CopyRecord, registry.Record{Kind: CopyKind, Manifest: registry.Manifest(object)})
	return &registry.State{Generation: max(before.Generation+1, state.Generation), Services: marked.Services, Records: marked.Records}, nil
}

// MarkOf returns the mark of a directory's state, and the state of the catalogue that it is a copy of. It returns nil if the
// directory has no mark.
func MarkOf(stored *registry.State) (*Mark, *registry.State, error) {
	record, ok := stored.Records[CopyRecord]
	if !ok || record.Kind != CopyKind {
		return nil, nil, nil
	}
	var m Mark
	if err := json.Unmarshal([]byte(record.Manifest), &m); err != nil {
		return nil, nil, fmt.Errorf("record %s: %w", CopyRecord, err)
	}
	copied := &registry.State{Generation: m.Generation, Services: stored.Services, Records: maps.Clone(stored.Records)}
	if delete(copied.Records, CopyRecord); len(copied.Records) == 0 {
		copied.Records = nil
	}
	return &m, copied, nil
}

// CopyError is returned if a data directory has the copy of a common catalogue and the server is started without the store.
type CopyError struct{ Manifest registry.Manifest }

func (e *CopyError) Error() string {
	var m Mark
	_ = json.Unmarshal([]byte(e.Manifest), &m) // the text does without
	return fmt.Sprintf("the services in this directory are a copy of generation %d of a common catalogue: start the server with its --store "+
		"(last %s), or with another --data, or move the catalogue here with vespo-cluster migrate --back", m.Generation, m.Store)
}

// CheckOwn returns a *CopyError if a state is a copy of a common catalogue.
func CheckOwn(s *registry.State) error {
	if r, ok := s.Records[CopyRecord]; ok && r.Kind == CopyKind {
		return &CopyError{Manifest: r.Manifest}
	}
	return nil
}
