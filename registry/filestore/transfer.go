package filestore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// changeFormat is the format of the envelope around a change. That of a whole catalogue is manifestFormat.
const changeFormat = "vespo change of a catalogue"

// Errors of Decode.
var (
	// ErrNewer is returned for what a newer version of the program has encoded.
	ErrNewer = errNewer
	// ErrDamaged is returned for bytes that are not what Encode or EncodeChange has returned.
	ErrDamaged = errTorn
	// ErrOtherBase is returned for a change of another state.
	ErrOtherBase = errors.New("the change is one of another state")
)

// changeV4 is the difference between two catalogues, in the form of the manifest of that version.
type changeV4 struct {
	After          uint64              `json:"after"` // the generation of the catalogue that it changes
	Generation     uint64              `json:"generation"`
	Services       []serviceV4         `json:"services,omitempty"`
	Removed        []string            `json:"removed,omitempty"`
	Records        map[string]recordV4 `json:"records,omitempty"`
	RemovedRecords []string            `json:"removed_records,omitempty"`
}

// Encode returns a catalogue for another host: the manifest without white space.
func Encode(s *registry.State) ([]byte, error) {
	body, err := encodeCatalogue(s)
	if err != nil {
		return nil, err
	}
	return seal(manifestFormat, body)
}

// EncodeChange returns the difference between two catalogues. It is small if they are alike, and takes time in
// proportion to the larger one.
func EncodeChange(from, to *registry.State) ([]byte, error) {
	c := changeV4{After: uint64(from.Generation), Generation: uint64(to.Generation)}
	for _, service := range to.Sorted() {
		if old, ok := from.Services[service.Key]; ok && old.Equal(service) {
			continue
		}
		stored, err := fromService(service)
		if err != nil {
			return nil, fmt.Errorf("encode change: %w", err)
		}
		c.Services = append(c.Services, stored)
	}
	for key := range from.Services {
		if _, ok := to.Services[key]; !ok {
			c.Removed = append(c.Removed, key.String())
		}
	}
	changed := make(map[string]registry.Record)
	for name, record := range to.Records {
		if old, ok := from.Records[name]; !ok || !old.Equal(record) {
			changed[name] = record
		}
	}
	for name := range from.Records {
		if _, ok := to.Records[name]; !ok {
			c.RemovedRecords = append(c.RemovedRecords, name)
		}
	}
	slices.Sort(c.Removed)
	slices.Sort(c.RemovedRecords)
	var err error
	if c.Records, err = fromRecords(changed); err != nil {
		return nil, fmt.Errorf("encode change: %w", err)
	}
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode change: %w", err)
	}
	return seal(changeFormat, body)
}

// seal returns the envelope of a body.
func seal(format string, body []byte) ([]byte, error) {
	return json.Marshal(envelope{Format: format, Version: manifestVersion, SHA256: checksum(body), Catalogue: body})
}

// Decode returns the catalogue that another host has encoded. A change is applied to base, which may be nil otherwise. The
// error matches ErrNewer, ErrDamaged or ErrOtherBase.
func Decode(data []byte, base *registry.State) (*registry.State, error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	switch {
	case e.Version > manifestVersion:
		return nil, fmt.Errorf("%w (format version %d, known is %d)", errNewer, e.Version, manifestVersion)
	case e.Version < manifestVersion:
		return nil, fmt.Errorf("%w: its format has version %d, and hosts send %d", errTorn, e.Version, manifestVersion)
	case e.Format != changeFormat:
		s, _, err := decodeManifest(data, nil) // only version 1 reads blobs
		return s, err
	}
	var body bytes.Buffer
	if err := json.Compact(&body, e.Catalogue); err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	if checksum(body.Bytes()) != e.SHA256 {
		return nil, fmt.Errorf("%w: the checksum does not fit", errTorn)
	}
	var c changeV4
	if err := decodeStrictly(body.Bytes(), &c); err != nil {
		return nil, err
	}
	return c.apply(base)
}

// apply returns the changed catalogue.
func (c changeV4) apply(base *registry.State) (*registry.State, error) {
	if base == nil || uint64(base.Generation) != c.After {
		return nil, fmt.Errorf("%w: of generation %d", ErrOtherBase, c.After)
	}
	next := &registry.State{
		Generation: registry.Generation(c.Generation),
		Services:   maps.Clone(base.Services),
		Records:    maps.Clone(base.Records),
	}
	if next.Services == nil {
		next.Services = make(map[routekey.Key]registry.Service)
	}
	for _, stored := range c.Services {
		service := stored.service()
		next.Services[service.Key] = service
	}
	for _, text := range c.Removed {
		key := routekey.Stored(text)
		if _, ok := next.Services[key]; !ok {
			return nil, fmt.Errorf("%w: it removes %.200q, which is not there", ErrOtherBase, text)
		}
		delete(next.Services, key)
	}
	for name, record := range toRecords(c.Records) {
		if next.Records == nil {
			next.Records = make(map[string]registry.Record)
		}
		next.Records[name] = record
	}
	for _, name := range c.RemovedRecords {
		delete(next.Records, name)
	}
	if len(next.Records) == 0 {
		next.Records = nil
	}
	return checked(next)
}
