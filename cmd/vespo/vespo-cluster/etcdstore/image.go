package etcdstore

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// errUnfit is returned if the entries of an image are not those of its head, so that it has to be read again.
var errUnfit = errors.New("the entries are not those of the generation")

// image is the catalogue's keys as of a revision of etcd. It is confined to its owner.
type image struct {
	revision int64 // up to which changes are applied
	head     head
	headRev  int64 // of the head's last change; 0: there is none
	headErr  error // why the head cannot be read; nil if it can
	// entries are the keys of services and records as commits have written them, staged changes included.
	entries map[string]entry
	sum     digest // of the entries without an error
	staged  map[string]*staging
	// suspects are keys that something other than a commit has changed, with their values. They are not part of the
	// catalogue; the next commit sets them aside.
	suspects map[string][]byte
	foreign  map[string]bool // keys that are none of the store's
	dirty    map[string]bool // keys of entries that have changed since the last state
}

func newImage() *image {
	return &image{
		entries:  make(map[string]entry),
		staged:   make(map[string]*staging),
		suspects: make(map[string][]byte),
		foreign:  make(map[string]bool),
		dirty:    make(map[string]bool),
	}
}

// change is a change of a key below the catalogue's prefix.
type change struct {
	write
	revision int64
}

// apply applies the changes of one revision. It returns errUnfit, or an error of staged changes, if the image has to be
// read again.
func (m *image) apply(group []change) error {
	committed := false
	for _, c := range group {
		m.revision = c.revision
		if c.Key == headKey {
			m.setHead(c)
			committed = true
		}
	}
	for _, c := range group {
		if c.Key != headKey {
			m.set(c.write, committed)
		}
	}
	if !committed || m.headErr != nil {
		return nil
	}
	return m.overlay()
}

func (m *image) setHead(c change) {
	m.headRev = c.revision
	if len(c.Value) == 0 {
		m.headRev, m.headErr = 0, fmt.Errorf("%s: %w: the key was removed", headKey, errDamaged)
		return
	}
	h, err := decodeHead(c.Value)
	if m.headErr = err; err == nil {
		m.head = h
	}
}

// set applies a change of another key than the head. committed is set if the head has changed with it.
func (m *image) set(w write, committed bool) {
	switch id, chunk, marker, ok := parseStaged(w.Key); {
	case ok:
		m.stage(id, chunk, marker, w.Value)
	case strings.HasPrefix(w.Key, serviceKeys+"/"), strings.HasPrefix(w.Key, recordKeys):
		switch holds := m.holds(w); {
		case holds:
			delete(m.suspects, w.Key)
		case committed:
			delete(m.suspects, w.Key)
			m.put(w)
		default:
			m.suspects[w.Key] = bytes.Clone(w.Value)
		}
	case !strings.HasPrefix(w.Key, asideKeys):
		if m.foreign[w.Key] = true; len(w.Value) == 0 {
			delete(m.foreign, w.Key)
		}
	}
}

// holds reports whether the image has the value already, as it has those of staged changes.
func (m *image) holds(w write) bool {
	have, ok := m.entries[w.Key]
	if len(w.Value) == 0 {
		return !ok
	}
	return ok && have.hash == hashOf(w.Key, w.Value)
}

// put sets or removes an entry.
func (m *image) put(w write) {
	if old, ok := m.entries[w.Key]; ok && old.err == nil {
		m.sum = m.sum.minus(old.hash)
	}
	m.dirty[w.Key] = true
	if len(w.Value) == 0 {
		delete(m.entries, w.Key)
		return
	}
	e := decodeEntry(w.Key, w.Value)
	if m.entries[w.Key] = e; e.err == nil {
		m.sum = m.sum.plus(e.hash)
	}
}

func (m *image) stage(id string, chunk int, marker bool, value []byte) {
	s := m.staged[id]
	if s == nil {
		s = &staging{chunks: make(map[int][]byte)}
		m.staged[id] = s
	}
	switch {
	case marker:
		s.marked = len(value) > 0
	case len(value) > 0:
		s.chunks[chunk] = bytes.Clone(value)
	default:
		delete(s.chunks, chunk)
	}
	if !s.marked && len(s.chunks) == 0 {
		delete(m.staged, id)
	}
}

// overlay applies the staged changes of the head, and compares the result with the head's sum.
func (m *image) overlay() error {
	if ref := m.head.Staged; ref != nil {
		writes, err := m.staged[ref.ID].writes(*ref)
		if err != nil {
			return err
		}
		for _, w := range writes {
			if !m.holds(w) {
				m.put(w)
			}
		}
	}
	if m.head.Sum != m.sum.String() {
		return errUnfit
	}
	return nil
}

// damaged reports whether an entry cannot be read.
func (m *image) damaged() bool {
	for _, e := range m.entries {
		if e.err != nil {
			return true
		}
	}
	return false
}

// newer returns the error of values that a later release has written, or nil.
func (m *image) newer() error {
	if errors.Is(m.headErr, errNewer) {
		return m.headErr
	}
	for key, e := range m.entries {
		if errors.Is(e.err, errNewer) {
			return fmt.Errorf("%s: %w", key, e.err)
		}
	}
	return nil
}

// state returns the state of the image, given the one before the changes in dirty.
func (m *image) state(before *registry.State) *registry.State {
	s := &registry.State{
		Generation: m.head.Generation,
		Services:   maps.Clone(before.Services),
		Records:    maps.Clone(before.Records),
	}
	if s.Services == nil {
		s.Services = make(map[routekey.Key]registry.Service)
	}
	if s.Records == nil {
		s.Records = make(map[string]registry.Record)
	}
	for key := range m.dirty {
		e, ok := m.entries[key]
		m.addTo(s, key, e, ok && e.err == nil)
	}
	if len(s.Records) == 0 {
		s.Records = nil
	}
	clear(m.dirty)
	return s
}

// addTo sets or removes the service or record of a key.
func (m *image) addTo(s *registry.State, key string, e entry, there bool) {
	if name, ok := strings.CutPrefix(key, recordKeys); ok {
		if s.Records[name] = e.record; !there {
			delete(s.Records, name)
		}
		return
	}
	route := routekey.Stored(strings.TrimPrefix(key, serviceKeys))
	if s.Services[route] = e.service; !there {
		delete(s.Services, route)
	}
}

// problems lists the keys that are not part of the catalogue, and why.
func (m *image) problems(prefix string) (all []registry.Problem) {
	for key, e := range m.entries {
		if e.err != nil {
			all = append(all, registry.Problem{Subject: prefix + key, Detail: "is left out; the key is kept until its service is deployed or removed, and set aside then", Err: e.err})
		}
	}
	for key := range m.suspects {
		all = append(all, registry.Problem{Subject: prefix + key, Detail: "was changed by something other than a deploy; the change is ignored, and set aside by the next deploy"})
	}
	for key := range m.foreign {
		all = append(all, registry.Problem{Subject: prefix + key, Detail: "does not belong to a catalogue; it is left alone"})
	}
	return all
}
