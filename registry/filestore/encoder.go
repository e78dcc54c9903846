package filestore

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// encoder encodes the states of a catalogue. It keeps the text of the services of the last state, so that only those that have
// changed are encoded again. The zero encoder is ready for use. It is not safe for concurrent use.
type encoder struct {
	services []*encoded // ordered by name
}

// encoded is a service with its text in the manifest.
type encoded struct {
	name     string // text of the key
	service  registry.Service
	compact  []byte // without white space
	indented []byte // as an element of the manifest's array
}

// Indentation of the manifest, which encoding/json would make of the envelope.
const (
	indent         = " "
	indentMember   = "  "  // of the catalogue
	indentServices = "   " // elements of the catalogue's array
)

func encodeEntryOf(name string, s registry.Service) (*encoded, error) {
	stored, err := fromService(s)
	if err != nil {
		return nil, err
	}
	e := &encoded{name: name, service: s}
	if e.compact, err = json.Marshal(stored); err != nil {
		return nil, err
	}
	e.indented, err = indented(e.compact, indentServices)
	return e, err
}

func indented(text []byte, prefix string) ([]byte, error) {
	var b bytes.Buffer
	err := json.Indent(&b, text, prefix, indent)
	return bytes.Clone(b.Bytes()), err
}

// update encodes the services of s that have changed since the last state.
func (e *encoder) update(s *registry.State) error {
	next := make([]*encoded, 0, len(s.Services))
	for _, old := range e.services {
		service, ok := s.Services[old.service.Key]
		if !ok {
			continue
		}
		if !service.Equal(old.service) {
			changed, err := encodeEntryOf(old.name, service)
			if err != nil {
				return err
			}
			old = changed
		}
		next = append(next, old)
	}
	if len(next) < len(s.Services) {
		known := make(map[routekey.Key]struct{}, len(next))
		for _, have := range next {
			known[have.service.Key] = struct{}{}
		}
		for key, service := range s.Services {
			if _, ok := known[key]; ok {
				continue
			}
			added, err := encodeEntryOf(key.String(), service)
			if err != nil {
				return err
			}
			next = append(next, added)
		}
		slices.SortFunc(next, func(a, b *encoded) int { return strings.Compare(a.name, b.name) })
	}
	e.services = next
	return nil
}

// prepare makes the text of all services that of s, and returns the text of the records; nil if there are none.
func (e *encoder) prepare(s *registry.State) (records []byte, err error) {
	if err = e.update(s); err == nil && len(s.Records) > 0 {
		var stored map[string]recordV4
		if stored, err = fromRecords(s.Records); err == nil {
			records, err = json.Marshal(stored)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return records, nil
}

// write writes the catalogue, without white space, to a buffer or a hash, which do not fail.
func (e *encoder) write(w io.Writer, generation registry.Generation, records []byte) {
	fmt.Fprintf(w, `{"generation":%d,"services":[`, generation)
	for i, service := range e.services {
		if i > 0 {
			io.WriteString(w, ",")
		}
		w.Write(service.compact)
	}
	io.WriteString(w, "]")
	if records != nil {
		fmt.Fprintf(w, `,"records":%s`, records)
	}
	io.WriteString(w, "}")
}

// manifest returns the manifest of s: the envelope of its catalogue, as json.MarshalIndent would return it.
func (e *encoder) manifest(s *registry.State) ([]byte, error) {
	records, err := e.prepare(s)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	e.write(sum, s.Generation, records)
	size := 2*len(records) + 300
	for _, service := range e.services {
		size += len(service.indented) + 5
	}
	out := fmt.Appendf(make([]byte, 0, size), `{
 "format": %q,
 "version": %d,
 "sha256": "%x",
 "catalogue": {
  "generation": %d,
  "services": [`, manifestFormat, manifestVersion, sum.Sum(nil), s.Generation)
	for i, service := range e.services {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, "\n"+indentServices...), service.indented...)
	}
	if len(e.services) > 0 {
		out = append(out, "\n"+indentMember...)
	}
	out = append(out, ']')
	if records != nil {
		text, err := indented(records, indentMember)
		if err != nil {
			return nil, fmt.Errorf("encode manifest: %w", err)
		}
		out = append(append(out, ",\n"+indentMember+`"records": `...), text...)
	}
	return append(out, "\n }\n}\n"...), nil
}

// encodeCatalogue encodes s deterministically, without white space.
func encodeCatalogue(s *registry.State) ([]byte, error) {
	var e encoder
	records, err := e.prepare(s)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e.write(&b, s.Generation, records)
	return b.Bytes(), nil
}

// encodeManifest returns the manifest of s.
func encodeManifest(s *registry.State) ([]byte, error) { return new(encoder).manifest(s) }
