package embedded

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/events"
	"github.com/vespo-dev/vespo/services/internal/boltfile"
)

// formatVersion is the version of the file's format.
const formatVersion = 1

// A stored record is the byte mark, a checksum of its key and JSON, and the JSON.
const (
	mark      = 0x01
	headBytes = 1 + crc32.Size
	maxAside  = 100 // damaged values kept for inspection
)

// bucket is a bucket of the file. Its keys are the ids of events.
type bucket string

const (
	records  bucket = "records"
	contents bucket = "contents"
	aside    bucket = "damaged"
)

// errDamaged is matched by errors about a damaged event.
var errDamaged = errors.New("a stored event is damaged")

// record is the part of an event that changes, with the facts needed without the content.
type record struct {
	ID        string    `json:"id"`
	Function  string    `json:"function"`
	Service   string    `json:"service,omitempty"`
	Bytes     int64     `json:"bytes"`
	Sum       uint32    `json:"sum"` // of the content
	Accepted  time.Time `json:"accepted"`
	NotBefore time.Time `json:"not_before,omitzero"`
	Lost      int       `json:"lost,omitempty"` // leases in a row without a result, the current one included
	events.Progress
}

// sumOf returns the checksum of a value. It covers the value's key.
func sumOf(b bucket, id string, value []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte(string(b)+"\x00"+id+"\x00"), table), table, value)
}

// encode returns the stored form of a record.
func encode(r record) []byte {
	text, err := json.Marshal(r)
	if err != nil {
		panic("embedded: a record cannot be encoded: " + err.Error())
	}
	return append(binary.BigEndian.AppendUint32([]byte{mark}, sumOf(records, r.ID, text)), text...)
}

// decode parses the stored form of the record of an event.
func decode(id string, value []byte) (record, error) {
	var r record
	if len(value) <= headBytes || value[0] != mark {
		return r, fmt.Errorf("%w: a record has no known form", errDamaged)
	}
	text := value[headBytes:]
	if sumOf(records, id, text) != binary.BigEndian.Uint32(value[1:headBytes]) {
		return r, fmt.Errorf("%w: the checksum of a record does not match", errDamaged)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if r.ID != id || r.Bytes < 0 || r.Lost < 0 || r.Attempts < 0 || r.Throttles < 0 {
		return r, fmt.Errorf("%w: a record has impossible values", errDamaged)
	}
	return r, nil
}

// insert writes an event.
func insert(tx *bbolt.Tx, r record, content []byte) error {
	if err := tx.Bucket([]byte(contents)).Put([]byte(r.ID), content); err != nil {
		return err
	}
	return putRecord(tx, r)
}

// putRecord writes a record.
func putRecord(tx *bbolt.Tx, r record) error {
	return tx.Bucket([]byte(records)).Put([]byte(r.ID), encode(r))
}

// drop deletes an event.
func drop(tx *bbolt.Tx, id string) error {
	return errors.Join(tx.Bucket([]byte(records)).Delete([]byte(id)), tx.Bucket([]byte(contents)).Delete([]byte(id)))
}

// contentOf reads the content of an event.
func contentOf(tx *bbolt.Tx, r record) ([]byte, error) {
	value := tx.Bucket([]byte(contents)).Get([]byte(r.ID))
	if value == nil || sumOf(contents, r.ID, value) != r.Sum {
		return nil, fmt.Errorf("%w: the checksum of the content does not match", errDamaged)
	}
	return bytes.Clone(value), nil
}

// due returns when an event without a lease is due. A clock may have been set back since the record was written.
func (r *record) due(now time.Time) time.Time {
	switch {
	case r.NotBefore.After(now.Add(idleWait)), r.NotBefore.IsZero() && r.Accepted.After(now):
		return now
	case r.NotBefore.IsZero():
		return r.Accepted
	}
	return r.NotBefore
}

// load fills the index from the file.
func (s *Store) load() error {
	bad := make(map[string]error)
	var all []*entry
	err := s.file.View(func(tx *bbolt.Tx) error {
		if err := boltfile.CheckFormat(tx, formatVersion); err != nil {
			return err
		}
		b := tx.Bucket([]byte(records))
		if b == nil {
			return nil
		}
		return b.ForEach(func(id, value []byte) error {
			r, err := decode(string(id), value)
			if err != nil {
				bad[string(id)] = err
				return nil
			}
			all = append(all, &entry{record: r, due: r.due(time.Now()), at: absent})
			return nil
		})
	})
	if err != nil {
		return err
	}
	err = s.file.Update(func(tx *bbolt.Tx) error {
		for _, name := range [...]bucket{records, contents, aside} {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return boltfile.SetFormat(tx, formatVersion)
	})
	for id, cause := range bad {
		err = errors.Join(err, s.setAside(id, cause))
	}
	slices.SortFunc(all, func(a, b *entry) int { return a.Accepted.Compare(b.Accepted) })
	for _, e := range all {
		s.known[e.ID] = e
		s.count.For(e.Function).Charge(1)
		s.bytes.For(e.Function).Charge(e.Bytes)
		s.queue.add(e)
	}
	return err
}

// setAside moves a damaged event out of the way. Its values are kept for inspection, up to maxAside.
func (s *Store) setAside(id string, cause error) error {
	err := s.write(func(tx *bbolt.Tx) error {
		kept := tx.Bucket([]byte(aside))
		for _, name := range [...]bucket{records, contents} {
			value := bytes.Clone(tx.Bucket([]byte(name)).Get([]byte(id)))
			if len(value) > 0 && kept.Stats().KeyN < maxAside {
				if err := kept.Put([]byte(string(name)+"\x00"+id), value); err != nil {
					return err
				}
			}
		}
		return drop(tx, id)
	})
	if err != nil {
		return err
	}
	s.cfg.Log.Error("a stored event is damaged and was set aside", slog.String("id", id), slog.Any("error", cause))
	s.mu.Lock()
	s.damaged++
	s.mu.Unlock()
	return nil
}
