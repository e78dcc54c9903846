package stored

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log/slog"
	"time"

	"go.etcd.io/bbolt"
)

// A record is the byte mark, a checksum of its key and JSON, and the JSON.
// Records of versions without checksums begin with '{', which no single-bit
// error turns into mark. The record holds the checksums of body and answer.
const (
	mark       = 0x01
	headBytes  = 1 + crc32.Size
	maxAside   = 100 // maximum number of damaged values kept for inspection
	asideName  = "damaged"
	asideParts = "\x00" // separates the parts of a key in that bucket
)

// castagnoli returns the CRC-32C table. The library creates it once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// sumOf returns the checksum of a value. It covers the value's key.
func sumOf(k key, p part, value []byte) uint32 {
	sum := crc32.Checksum([]byte(k.prefix+"\x00"+k.id+"\x00"+string(p)+"\x00"), castagnoli())
	return crc32.Update(sum, castagnoli(), value)
}

// encode returns the stored form of a record.
func encode(k key, r record) []byte {
	text, err := json.Marshal(r)
	if err != nil {
		panic("stored: a record cannot be encoded: " + err.Error())
	}
	head := binary.BigEndian.AppendUint32([]byte{mark}, sumOf(k, records, text))
	return append(head, text...)
}

// decode parses the stored form of a record.
func decode(k key, value []byte) (record, error) {
	var r record
	switch {
	case len(value) > headBytes && value[0] == mark:
		if sumOf(k, records, value[headBytes:]) != binary.BigEndian.Uint32(value[1:headBytes]) {
			return r, fmt.Errorf("%w: the checksum of a record does not match", errValue)
		}
		value = value[headBytes:]
	case len(value) == 0 || value[0] != '{':
		return r, fmt.Errorf("%w: a record has no known form", errValue)
	}
	if err := json.Unmarshal(value, &r); err != nil {
		return r, fmt.Errorf("%w: %w", errValue, err)
	}
	if r.ID != k.id {
		return r, fmt.Errorf("%w: a record is stored under another id", errValue)
	}
	return r, nil
}

// content reads the body or the answer of a request. sum is nil in records of versions without checksums.
func content(tx *bbolt.Tx, k key, p part, sum *uint32) ([]byte, error) {
	value := bytes.Clone(get(tx, p, k))
	if sum != nil && sumOf(k, p, value) != *sum {
		return nil, fmt.Errorf("%w: the checksum of the %s does not match", errValue, p)
	}
	return value, nil
}

// setAside replaces a damaged request by a result with the state Damaged, which
// its client receives. The damaged values are kept for inspection, up to maxAside.
func (s *Store) setAside(k key, cause error, now time.Time) error {
	failed := record{Request: Request{ID: k.id, Accepted: now, Deadline: now}, Result: Result{State: Damaged, Ended: now}}
	text := encode(k, failed)
	err := s.file.Update(func(tx *bbolt.Tx) error {
		aside, err := tx.CreateBucketIfNotExists([]byte(asideName))
		if err != nil {
			return err
		}
		for _, p := range [...]part{records, bodies, answers} {
			value := bytes.Clone(get(tx, p, k))
			if len(value) > 0 && aside.Stats().KeyN < maxAside {
				if err := aside.Put([]byte(k.prefix+asideParts+k.id+asideParts+string(p)), value); err != nil {
					return err
				}
			}
		}
		if err := drop(tx, k); err != nil {
			return err
		}
		return put(tx, records, k, text)
	})
	if err != nil {
		return err
	}
	s.log.Error("a stored request is damaged and was set aside", slog.String("prefix", k.prefix), slog.String("id", k.id), slog.Any("error", cause))
	s.mu.Lock()
	if z := s.known[k]; z == nil {
		s.known[k] = &size{}
	}
	s.damaged[k.prefix]++
	s.mu.Unlock()
	s.note(k, &failed, int64(len(text)))
	return nil
}

// Broken reports whether the file was found damaged while in use. All methods fail from then on.
func (s *Store) Broken() bool { return s.file.Broken() }

// DamagedAt returns the number of requests to a prefix that were set aside since the file was opened.
func (s *Store) DamagedAt(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damaged[prefix]
}
