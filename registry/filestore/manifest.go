package filestore

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

const (
	manifestFormat  = "vespo catalogue"
	manifestVersion = 4
	// maxManifestBytes is far larger than a catalogue of 100,000 services with full histories.
	maxManifestBytes = 1 << 30
)

// Errors of decodeManifest.
var (
	errTorn  = errors.New("not a whole manifest")
	errNewer = errors.New("written by a newer version of vespo, which this one cannot read")
)

// The manifest is JSON: an envelope whose form never changes, around a catalogue whose form depends on the
// version. The checksum is the SHA-256 of the catalogue's bytes without insignificant white space.
type envelope struct {
	Format    string          `json:"format"`
	Version   int             `json:"version"`
	SHA256    string          `json:"sha256"`
	Catalogue json.RawMessage `json:"catalogue"`
}

// The types below are version 4. Version 3 is the same without the numbers of versions, and version 2 without message and
// author too; both are read by the same types. They are separate from registry's types, so that a renamed field there
// does not change the stored format.
type catalogueV4 struct {
	Generation uint64      `json:"generation"`
	Services   []serviceV4 `json:"services"`

	Records map[string]recordV4 `json:"records,omitempty"`
}

type serviceV4 struct {
	Prefix  string      `json:"prefix"`
	Current versionV4   `json:"current"`
	History []versionV4 `json:"history,omitempty"`
	Last    uint64      `json:"last"` // the highest number of a version so far
	trafficV4
}

type versionV4 struct {
	Kind       string         `json:"kind"`
	Manifest   map[string]any `json:"manifest"` // an object: white space and escapes of the file are not part of its value
	Blobs      []blobV4       `json:"blobs,omitempty"`
	Origin     string         `json:"origin,omitempty"`
	Message    string         `json:"message,omitempty"`
	Author     string         `json:"author,omitempty"`
	Number     uint64         `json:"number"`
	Staged     bool           `json:"staged,omitempty"`
	Generation uint64         `json:"generation"`
	Deployed   time.Time      `json:"deployed"`
}

type blobV4 struct {
	Field     string `json:"field"`
	Digest    string `json:"digest"`
	SizeBytes int64  `json:"size_bytes"`
}

// decodeManifest returns the decoded state after checking it, and the version of its form. Its errors match errNewer
// or errTorn. Version 1 kept the settings of some kinds in blobs, which blob reads.
func decodeManifest(data []byte, blob func(registry.Digest) ([]byte, error)) (s *registry.State, version int, err error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errTorn, err)
	}
	switch {
	case e.Format != manifestFormat:
		return nil, 0, fmt.Errorf("%w: its format is %.80q", errTorn, e.Format)
	case e.Version > manifestVersion:
		return nil, 0, fmt.Errorf("%w (format version %d, known is %d)", errNewer, e.Version, manifestVersion)
	case e.Version < 1:
		return nil, 0, fmt.Errorf("%w: there is no format version %d", errTorn, e.Version)
	}
	var body bytes.Buffer
	if err := json.Compact(&body, e.Catalogue); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errTorn, err)
	}
	if checksum(body.Bytes()) != e.SHA256 {
		return nil, 0, fmt.Errorf("%w: the checksum does not fit", errTorn)
	}
	if e.Version == 1 {
		s, err = decodeCatalogueV1(body.Bytes(), blob)
	} else {
		s, err = decodeCatalogueV4(body.Bytes(), e.Version)
	}
	return s, e.Version, err
}

func decodeCatalogueV4(body []byte, version int) (*registry.State, error) {
	var c catalogueV4
	if err := decodeStrictly(body, &c); err != nil {
		return nil, err
	}
	s := &registry.State{
		Generation: registry.Generation(c.Generation),
		Services:   make(map[routekey.Key]registry.Service, len(c.Services)),
		Records:    toRecords(c.Records),
	}
	for _, stored := range c.Services {
		service := stored.service()
		if version < 4 {
			number(&service)
		}
		if err := addService(s, service); err != nil {
			return nil, err
		}
	}
	return checked(s)
}

// decodeStrictly decodes a catalogue. A new field requires a new version.
func decodeStrictly(body []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errTorn, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the catalogue", errTorn)
	}
	return nil
}

// number numbers the versions of a service that has none in the stored form, in the order in which they became current.
func number(s *registry.Service) {
	ordered := []*registry.Version{&s.Current}
	for i := range s.History {
		ordered = append(ordered, &s.History[i])
	}
	slices.SortFunc(ordered, func(a, b *registry.Version) int { return cmp.Compare(a.Generation, b.Generation) })
	for _, v := range ordered {
		s.Last++
		v.Number = s.Last
	}
}

// addService adds a service that is not in s yet.
func addService(s *registry.State, service registry.Service) error {
	if _, twice := s.Services[service.Key]; twice {
		return fmt.Errorf("%w: %.200q is in it twice", errTorn, service.Key)
	}
	s.Services[service.Key] = service
	return nil
}

func checked(s *registry.State) (*registry.State, error) {
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	return s, nil
}

func checksum(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func fromService(s registry.Service) (out serviceV4, err error) {
	out.Prefix, out.Last, out.trafficV4 = s.Key.String(), uint64(s.Last), fromTraffic(s)
	if out.Current, err = fromVersion(s.Current); err != nil {
		return out, err
	}
	for _, v := range s.History {
		stored, err := fromVersion(v)
		if err != nil {
			return out, err
		}
		out.History = append(out.History, stored)
	}
	return out, nil
}

func (s serviceV4) service() registry.Service {
	out := registry.Service{Key: routekey.Stored(s.Prefix), Current: s.Current.version(), Last: registry.Number(s.Last)}
	for _, v := range s.History {
		out.History = append(out.History, v.version())
	}
	s.addTo(&out)
	return out
}

func fromVersion(v registry.Version) (versionV4, error) {
	out := versionV4{
		Kind:       v.Kind,
		Manifest:   map[string]any{},
		Origin:     string(v.Origin),
		Message:    v.Note.Message,
		Author:     v.Note.Author,
		Number:     uint64(v.Number),
		Staged:     v.Staged,
		Generation: uint64(v.Generation),
		Deployed:   v.Deployed,
	}
	for _, b := range v.Blobs {
		out.Blobs = append(out.Blobs, blobV4{Field: b.Field, Digest: string(b.Digest), SizeBytes: b.SizeBytes})
	}
	dec := json.NewDecoder(strings.NewReader(string(v.Manifest)))
	dec.UseNumber()
	if err := dec.Decode(&out.Manifest); err != nil {
		return out, fmt.Errorf("manifest of a version of kind %s: %w", v.Kind, err)
	}
	return out, nil
}

func (v versionV4) version() registry.Version {
	out := registry.Version{
		Kind:       v.Kind,
		Manifest:   canonical(v.Manifest),
		Origin:     registry.Origin(v.Origin),
		Note:       registry.Note{Message: v.Message, Author: v.Author},
		Number:     registry.Number(v.Number),
		Staged:     v.Staged,
		Generation: registry.Generation(v.Generation),
		Deployed:   v.Deployed.UTC(),
	}
	for _, b := range v.Blobs {
		out.Blobs = append(out.Blobs, registry.Blob{Field: b.Field, Digest: registry.Digest(b.Digest), SizeBytes: b.SizeBytes})
	}
	return out
}

// canonical returns the members in the form of registry.Manifest.
func canonical(members map[string]any) registry.Manifest {
	if members == nil {
		members = map[string]any{}
	}
	m, err := registry.EncodeManifest(members)
	if err != nil {
		panic("filestore: decoded JSON cannot be encoded: " + err.Error())
	}
	return m
}
