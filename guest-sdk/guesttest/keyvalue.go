package guesttest

import (
	"maps"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

// A Store is a key-value store in memory. The zero value is empty. It is not safe for concurrent use.
type Store struct {
	entries map[string]vespo.Entry
	version uint64
}

// Get returns an entry as the guest sees it. ok is false if the key is absent or expired.
func (s *Store) Get(key string) (e vespo.Entry, ok bool) {
	e, ok = s.entries[key]
	if !ok || !e.Expires.IsZero() && !time.Now().Before(e.Expires) {
		return vespo.Entry{}, false
	}
	return e, true
}

// Put sets an entry, with a version of its own.
func (s *Store) Put(e vespo.Entry) (version uint64) {
	if s.entries == nil {
		s.entries = make(map[string]vespo.Entry)
	}
	s.version++
	e.Version = s.version
	s.entries[e.Key] = e
	return e.Version
}

// Keys returns the keys that are present, in the order of their bytes.
func (s *Store) Keys() (keys []string) {
	for _, key := range slices.Sorted(maps.Keys(s.entries)) {
		if _, ok := s.Get(key); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// matches reports whether a key has the expected version; -1 is any.
func (s *Store) matches(key string, version int64) bool {
	e, _ := s.Get(key)
	return version == -1 || version >= 0 && e.Version == uint64(version)
}
