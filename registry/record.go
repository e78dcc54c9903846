package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// MaxRecordBytes bounds the manifest of a record: every commit writes all of them.
const MaxRecordBytes = 1 << 20

// ErrRecord is matched by the errors of records that a State cannot have.
var ErrRecord = errors.New("invalid record")

// Record is state that a part of the server keeps in the catalogue beside the services, such as the aliases of a
// function. The catalogue does not interpret it. It changes in the same commits as the services, so that neither is
// ever ahead of the other.
type Record struct {
	Kind     string   // the part of the server that knows the form of the manifest
	Manifest Manifest // PutRecord brings it into canonical form
	Blobs    []Digest // blobs that are kept as long as the record. Not modified once the record is in a State
}

// Equal reports whether both are the same record.
func (r Record) Equal(o Record) bool {
	return r.Kind == o.Kind && r.Manifest == o.Manifest && slices.Equal(r.Blobs, o.Blobs)
}

// Check returns the first rule that the record breaks. Its errors match ErrRecord.
func (r Record) Check() error {
	switch {
	case r.Kind == "":
		return fmt.Errorf("%w: it has no kind", ErrRecord)
	case len(r.Manifest) > MaxRecordBytes:
		return fmt.Errorf("%w: its manifest has %d bytes, at most %d can be", ErrRecord, len(r.Manifest), MaxRecordBytes)
	}
	if _, err := Canonical([]byte(r.Manifest)); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	for _, d := range r.Blobs {
		if _, err := ParseDigest(string(d)); err != nil {
			return fmt.Errorf("%w: %w", ErrRecord, err)
		}
	}
	return nil
}

// PutRecord sets a record. The name begins with the kind and a slash by convention: "function/hello". The zero Record
// removes it. If nothing changes, it returns s.
func (s *State) PutRecord(name string, r Record) *State {
	if canonical, err := Canonical([]byte(r.Manifest)); err == nil { // else Check refuses it
		r.Manifest = canonical // as it will be read back
	}
	old, ok := s.Records[name]
	gone := r.Equal(Record{})
	if gone && !ok || ok && old.Equal(r) {
		return s
	}
	next := &State{Generation: s.Generation + 1, Services: s.Services, Records: maps.Clone(s.Records)}
	switch {
	case !gone && next.Records == nil:
		next.Records = map[string]Record{name: r}
	case !gone:
		next.Records[name] = r
	default:
		delete(next.Records, name)
	}
	if len(next.Records) == 0 {
		next.Records = nil // as it will be read back
	}
	return next
}

// Canonical returns the canonical form of a JSON object.
func Canonical(object []byte) (Manifest, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	dec.UseNumber()
	var members map[string]any
	if err := dec.Decode(&members); err != nil {
		return "", fmt.Errorf("the manifest is no JSON object: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) || members == nil {
		return "", errors.New("the manifest is not one JSON object")
	}
	return EncodeManifest(members)
}

// EncodeManifest returns the JSON of an object in the form of a Manifest: without white space, with <, > and & as they
// are, and with sorted names if the object is a map. It fails for what is not plain data.
func EncodeManifest(object any) (Manifest, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(object); err != nil {
		return "", err
	}
	return Manifest(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// checkRecords returns the first rule that a record breaks.
func (s *State) checkRecords() error {
	for name, r := range s.Records {
		if name == "" {
			return fmt.Errorf("%w: a record has no name", ErrInvalidState)
		}
		if err := r.Check(); err != nil {
			return fmt.Errorf("%w: record %.200q: %w", ErrInvalidState, name, err)
		}
	}
	return nil
}
