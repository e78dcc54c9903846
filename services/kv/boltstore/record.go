package boltstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/kv"
)

// record is the stored form of an entry: a checksum of the key and the rest (4 bytes), the version (8), the time of expiry in
// milliseconds since 1970 (8, 0 for never), the length of the metadata (2), the metadata and the value.
type record struct {
	version  kv.Version
	expires  int64
	metadata []byte
	value    []byte
}

const recordHead = 4 + 8 + 8 + 2

var errRecord = errors.New("the stored entry is damaged")

// castagnoli returns the CRC-32C table. The library creates it once.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func sumOf(key string, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(key+"\x00"), castagnoli()), castagnoli(), rest)
}

// decode parses a stored entry. The record refers to raw. With the error, it has what could be read.
func decode(key string, raw []byte) (record, error) {
	if len(raw) < recordHead {
		return record{}, errRecord
	}
	r := record{
		version: kv.Version(binary.BigEndian.Uint64(raw[4:])),
		expires: int64(binary.BigEndian.Uint64(raw[12:])),
	}
	n := int(binary.BigEndian.Uint16(raw[20:]))
	rest := raw[recordHead:]
	if n > len(rest) {
		return r, errRecord
	}
	r.metadata, r.value = rest[:n], rest[n:]
	if sumOf(key, raw[4:]) != binary.BigEndian.Uint32(raw) {
		return r, errRecord
	}
	return r, nil
}

func (r record) encode(key string) []byte {
	raw := make([]byte, recordHead, recordHead+len(r.metadata)+len(r.value))
	binary.BigEndian.PutUint64(raw[4:], uint64(r.version))
	binary.BigEndian.PutUint64(raw[12:], uint64(r.expires))
	binary.BigEndian.PutUint16(raw[20:], uint16(len(r.metadata)))
	raw = append(append(raw, r.metadata...), r.value...)
	binary.BigEndian.PutUint32(raw, sumOf(key, raw[4:]))
	return raw
}

// present reports whether the entry has not expired.
func (r record) present(now time.Time) bool { return r.expires == 0 || now.UnixMilli() < r.expires }

// sizeBytes returns the size of the entry, as quotas count it.
func (r record) sizeBytes(key string) int64 {
	return int64(len(key)+len(r.metadata)+len(r.value)) + kv.EntryOverheadBytes
}

// entry returns a copy of the record, with its value if asked.
func (r record) entry(key string, value bool) kv.Entry {
	e := kv.Entry{Key: key, Metadata: string(r.metadata), Version: r.version, SizeBytes: r.sizeBytes(key)}
	if r.expires != 0 {
		e.Expires = time.UnixMilli(r.expires)
	}
	if value {
		e.Value = append(make([]byte, 0, len(r.value)), r.value...)
	}
	return e
}

// formatVersion is the version of a file's format.
const formatVersion = 1

// Buckets of a file. The sequence of entries is the last version.
var (
	entriesName = []byte("entries") // key: record
	expiryName  = []byte("expiry")  // time of expiry (8 bytes), key: nothing
	stateName   = []byte("state")   // usageKey: number of keys (8 bytes), bytes (8 bytes)
	usageKey    = []byte("usage")
)

// initialise makes the buckets of a new file. Versions begin with the time in microseconds, so that they are greater than
// those of a store of the same name that was dropped, and exact as a number in JavaScript.
func initialise(tx *bbolt.Tx) error {
	entries, err := tx.CreateBucket(entriesName)
	if err != nil {
		return err
	}
	if err := entries.SetSequence(uint64(time.Now().UnixMicro())); err != nil {
		return err
	}
	for _, name := range [...][]byte{expiryName, stateName} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return putUsage(tx, kv.Usage{})
}

// usageOf reads the usage. It fails if the file is not one of a store.
func usageOf(tx *bbolt.Tx) (kv.Usage, error) {
	state := tx.Bucket(stateName)
	if state == nil || tx.Bucket(entriesName) == nil || tx.Bucket(expiryName) == nil {
		return kv.Usage{}, errors.New("the file is not one of a key-value store")
	}
	raw := state.Get(usageKey)
	if len(raw) != 16 {
		return kv.Usage{}, errors.New("the usage of the store is damaged")
	}
	return kv.Usage{Keys: int64(binary.BigEndian.Uint64(raw)), Bytes: int64(binary.BigEndian.Uint64(raw[8:]))}, nil
}

func putUsage(tx *bbolt.Tx, u kv.Usage) error {
	raw := binary.BigEndian.AppendUint64(nil, uint64(u.Keys))
	return tx.Bucket(stateName).Put(usageKey, binary.BigEndian.AppendUint64(raw, uint64(u.Bytes)))
}

// expiryKey returns the key of an entry in the bucket of expiries.
func expiryKey(expires int64, key string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(expires)), key...)
}
