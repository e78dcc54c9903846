package filestore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// Version 1 had the options of every version in the catalogue, and the settings of kinds without a module as a JSON
// document in a blob. It is read and no longer written. Nothing in this file follows changes elsewhere.

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

// documentsV1 has the kinds whose blob was a document. It maps the members of the documents that were renamed.
var documentsV1 = map[string]map[string]string{
	"function": {},
	"proxy": {
		"upstreams":        "upstream",
		"request_headers":  "request_header",
		"response_headers": "response_header",
	},
	"queue":  {},
	"static": {"directory": "static"},
}

func decodeCatalogueV1(body []byte, blob func(registry.Digest) ([]byte, error)) (*registry.State, error) {
	var c catalogueV1
	if err := decodeStrictly(body, &c); err != nil {
		return nil, err
	}
	s := &registry.State{
		Generation: registry.Generation(c.Generation),
		Services:   make(map[routekey.Key]registry.Service, len(c.Services)),
	}
	for _, old := range c.Services {
		service := registry.Service{Key: routekey.Stored(old.Prefix), Current: old.Current.version(blob)}
		for _, v := range old.History {
			service.History = append(service.History, v.version(blob))
		}
		number(&service)
		if err := addService(s, service); err != nil {
			return nil, err
		}
	}
	return checked(s)
}

// version returns the version in today's form. If its document cannot be read, the blob stays part of the version,
// which then cannot be prepared.
func (v versionV1) version(blob func(registry.Digest) ([]byte, error)) registry.Version {
	members := v.options()
	out := registry.Version{
		Kind:       v.Kind,
		Origin:     registry.Origin(v.Origin),
		Generation: registry.Generation(v.Generation),
		Deployed:   v.Deployed.UTC(),
	}
	own := registry.Blob{Field: "module", Digest: registry.Digest(v.Digest), SizeBytes: v.SizeBytes}
	if renamed, ok := documentsV1[v.Kind]; ok {
		if err := addDocumentV1(members, renamed, own.Digest, blob); err != nil {
			own.Field = "document"
			out.Blobs = append(out.Blobs, own)
		}
	} else {
		out.Blobs = append(out.Blobs, own)
	}
	for _, digest := range v.Use {
		out.Blobs = append(out.Blobs, registry.Blob{Field: "use", Digest: registry.Digest(digest)})
	}
	out.Manifest = canonical(members)
	return out
}

// options returns the members of the manifest that were options.
func (v versionV1) options() map[string]any {
	members := make(map[string]any)
	add := func(name string, value any, given bool) {
		if given {
			members[name] = value
		}
	}
	add("memory", v.MemoryBytes, v.MemoryBytes != 0)
	add("timeout", time.Duration(v.TimeoutNs).String(), v.TimeoutNs != 0)
	add("isolation", v.Isolation, v.Isolation != "")
	add("cgi_args", v.CGIArgs, v.CGIArgs)
	add("allow", v.Allow, len(v.Allow) > 0)
	add("config", v.Config, len(v.Config) > 0)
	add("mount", v.Mounts, len(v.Mounts) > 0)
	add("use_config", v.UseConfig, len(v.UseConfig) > 0)
	return members
}

// addDocumentV1 adds the members of a document.
func addDocumentV1(members map[string]any, renamed map[string]string, d registry.Digest, blob func(registry.Digest) ([]byte, error)) error {
	text, err := blob(d)
	if err != nil {
		return err
	}
	var document map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&document); err != nil {
		return fmt.Errorf("document %s: %w", d, err)
	}
	for name, value := range document {
		if now, ok := renamed[name]; ok {
			name = now
		}
		members[name] = value
	}
	return nil
}
