//go:build !wasip1

package guesttest

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

// Limits of keys, metadata, values and pages, which are those of the server.
const (
	maxKeyBytes      = 512
	maxMetadataBytes = 1 << 10
	maxValueBytes    = 1 << 20
	maxPage          = 1000
)

// store returns a store, or the reason why a key of it cannot be used.
func (h *host) store(name, key string) (*Store, vespo.KVCode) {
	s := h.request.Stores[name]
	switch {
	case s == nil:
		return nil, vespo.ErrKVNoStore
	case len(key) > maxKeyBytes:
		return nil, vespo.ErrKVTooLarge
	case key == "" || !isText(key):
		return nil, vespo.ErrKVInvalid
	}
	return s, 0
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func (h *host) KVGet(store, key string, buf []byte) int64 {
	h.entry = vespo.Entry{}
	s, code := h.store(store, key)
	if code != 0 {
		return int64(code)
	}
	e, ok := s.Get(key)
	if !ok {
		return int64(vespo.ErrKVNotFound)
	}
	h.entry = e
	return int64(fill(buf, string(e.Value)))
}

func (h *host) KVEntry(part int32, buf []byte) int64 {
	if h.entry.Version == 0 {
		return int64(vespo.ErrKVNotFound)
	}
	switch part {
	case 0:
		return int64(fill(buf, string(h.entry.Value)))
	case 1:
		return int64(fill(buf, h.entry.Metadata))
	case 2:
		return int64(h.entry.Version)
	}
	return milliseconds(h.entry)
}

func milliseconds(e vespo.Entry) int64 {
	if e.Expires.IsZero() {
		return 0
	}
	return e.Expires.UnixMilli()
}

func (h *host) KVPut(store, key string, value []byte, metadata string, ttl, version int64) int64 {
	s, code := h.store(store, key)
	switch {
	case code != 0:
		return int64(code)
	case len(value) > maxValueBytes || len(metadata) > maxMetadataBytes:
		return int64(vespo.ErrKVTooLarge)
	case !isText(metadata) || ttl < 0:
		return int64(vespo.ErrKVInvalid)
	case !s.matches(key, version):
		return int64(vespo.ErrKVConflict)
	}
	e := vespo.Entry{Key: key, Value: slices.Clone(value), Metadata: metadata}
	if ttl > 0 {
		e.Expires = time.Now().Add(time.Duration(ttl) * time.Millisecond)
	}
	return int64(s.Put(e))
}

func (h *host) KVDelete(store, key string, version int64) int32 {
	s, code := h.store(store, key)
	if code != 0 {
		return int32(code)
	}
	if !s.matches(key, version) {
		return int32(vespo.ErrKVConflict)
	}
	_, ok := s.Get(key)
	delete(s.entries, key)
	if ok {
		return 1
	}
	return 0
}

func (h *host) KVAdd(store, key string, delta int64, sum *int64) int32 {
	s, code := h.store(store, key)
	if code != 0 {
		return int32(code)
	}
	e, ok := s.Get(key)
	n, err := strconv.ParseInt(string(e.Value), 10, 64)
	if ok && err != nil || delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return int32(vespo.ErrKVNotNumber)
	}
	*sum = n + delta
	e.Key, e.Value = key, strconv.AppendInt(nil, *sum, 10)
	s.Put(e)
	return 0
}

func (h *host) KVList(store, prefix, cursor string, limit int32, buf []byte) int64 {
	h.page = nil
	s, code := h.store(store, cmp.Or(prefix, cursor, "-"))
	if code != 0 {
		return int64(code)
	}
	if limit < 1 || limit > maxPage {
		return int64(vespo.ErrKVInvalid)
	}
	h.page = []string{""}
	last := ""
	for _, key := range s.Keys() {
		if !strings.HasPrefix(key, prefix) || key <= cursor && cursor != "" {
			continue
		}
		if len(h.page) == 1+4*int(limit) {
			h.page[0] = last
			break
		}
		e, _ := s.Get(key)
		h.page = append(h.page, key, strconv.FormatUint(e.Version, 10), strconv.FormatInt(milliseconds(e), 10), e.Metadata)
		last = key
	}
	return int64(fillList(buf, h.page))
}

func (h *host) KVPage(buf []byte) int64 {
	if h.page == nil {
		return int64(vespo.ErrKVNotFound)
	}
	return int64(fillList(buf, h.page))
}
