package filestore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/vespo-dev/vespo/registry"
)

const (
	manifestFormat  = "vespo catalogue"
	manifestVersion = 1
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

// The types below are version 1. They are separate from registry's types, so that a renamed field there does
// not change the stored format.
type catalogueV1 struct {
	Generation uint64      `json:"generation"`
	Services   []serviceV1 `json:"services"`
}

type serviceV1 struct {
	Prefix  string      `json:"prefix"`
	Current versionV1   `json:"current"`
	History []versionV1 `json:"history,omitempty"`
}

type versionV1 struct {
	Digest      string    `json:"digest"`
	SizeBytes   int64     `json:"size_bytes"`
	Kind        string    `json:"kind"`
	MemoryBytes int64     `json:"memory_bytes,omitempty"`
	TimeoutNs   int64     `json:"timeout_ns,omitempty"`
	Isolation   string    `json:"isolation,omitempty"`
	CGIArgs     bool      `json:"cgi_args,omitempty"`
	Allow       []string  `json:"allow,omitempty"`
	Config      stringsV1 `json:"config,omitempty"`
	Mounts      stringsV1 `json:"mounts,omitempty"`
	Use         []string  `json:"use,omitempty"`
	UseConfig   stringsV1 `json:"use_config,omitempty"`
	Origin      string    `json:"origin,omitempty"`
	Generation  uint64    `json:"generation"`
	Deployed    time.Time `json:"deployed"`
}

type stringsV1 map[string]string

// encodeManifest encodes s deterministically.
func encodeManifest(s *registry.State) ([]byte, error) {
	catalogue := catalogueV1{Generation: uint64(s.Generation), Services: []serviceV1{}}
	for _, service := range s.Sorted() {
		catalogue.Services = append(catalogue.Services, fromService(service))
	}
	body, err := json.Marshal(catalogue)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	out, err := json.MarshalIndent(envelope{
		Format: manifestFormat, Version: manifestVersion, SHA256: checksum(body), Catalogue: body,
	}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return append(out, '\n'), nil
}

// decodeManifest returns the decoded state after checking it. Its errors match errNewer or errTorn.
func decodeManifest(data []byte) (*registry.State, error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	switch {
	case e.Format != manifestFormat:
		return nil, fmt.Errorf("%w: its format is %.80q", errTorn, e.Format)
	case e.Version > manifestVersion:
		return nil, fmt.Errorf("%w (format version %d, known is %d)", errNewer, e.Version, manifestVersion)
	case e.Version != manifestVersion:
		return nil, fmt.Errorf("%w: there is no format version %d", errTorn, e.Version)
	}
	var body bytes.Buffer
	if err := json.Compact(&body, e.Catalogue); err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	if checksum(body.Bytes()) != e.SHA256 {
		return nil, fmt.Errorf("%w: the checksum does not fit", errTorn)
	}
	return decodeCatalogueV1(body.Bytes())
}

func decodeCatalogueV1(body []byte) (*registry.State, error) {
	var c catalogueV1
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields() // a new field requires a new version
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the catalogue", errTorn)
	}
	s := &registry.State{
		Generation: registry.Generation(c.Generation),
		Services:   make(map[registry.Prefix]registry.Service, len(c.Services)),
	}
	for _, service := range c.Services {
		prefix := registry.Prefix(service.Prefix)
		if _, twice := s.Services[prefix]; twice {
			return nil, fmt.Errorf("%w: %.200q is in it twice", errTorn, service.Prefix)
		}
		s.Services[prefix] = service.service()
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	return s, nil
}

func checksum(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func fromService(s registry.Service) serviceV1 {
	out := serviceV1{Prefix: string(s.Prefix), Current: fromVersion(s.Current)}
	for _, v := range s.History {
		out.History = append(out.History, fromVersion(v))
	}
	return out
}

func (s serviceV1) service() registry.Service {
	out := registry.Service{Prefix: registry.Prefix(s.Prefix), Current: s.Current.version()}
	for _, v := range s.History {
		out.History = append(out.History, v.version())
	}
	return out
}

func fromVersion(v registry.Version) versionV1 {
	var use []string
	for _, digest := range v.Options.Use {
		use = append(use, string(digest))
	}
	return versionV1{
		Use: use, UseConfig: v.Options.UseConfig,
		Digest: string(v.Digest), SizeBytes: v.SizeBytes, Kind: v.Kind,
		MemoryBytes: v.Options.MemoryBytes, TimeoutNs: int64(v.Options.Timeout), Isolation: v.Options.Isolation, CGIArgs: v.Options.CGIArgs,
		Allow: v.Options.Allow, Config: v.Options.Config, Mounts: v.Options.Mounts,
		Origin:     string(v.Origin),
		Generation: uint64(v.Generation), Deployed: v.Deployed,
	}
}

func (v versionV1) version() registry.Version {
	var use []registry.Digest
	for _, digest := range v.Use {
		use = append(use, registry.Digest(digest))
	}
	return registry.Version{
		Digest: registry.Digest(v.Digest), SizeBytes: v.SizeBytes, Kind: v.Kind, Origin: registry.Origin(v.Origin),
		Generation: registry.Generation(v.Generation), Deployed: v.Deployed.UTC(),
		Options: registry.Options{
			MemoryBytes: v.MemoryBytes, Timeout: time.Duration(v.TimeoutNs), Isolation: v.Isolation, CGIArgs: v.CGIArgs,
			Allow: v.Allow, Config: v.Config, Mounts: v.Mounts, Use: use, UseConfig: v.UseConfig,
		},
	}
}
