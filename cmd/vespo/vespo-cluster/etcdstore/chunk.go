package etcdstore

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const chunkVersion = 1

// Bounds of a transaction. By default, etcd refuses those of more than 128 operations or 1.5 MiB.
const (
	maxOps        = 100
	maxBatchBytes = 1 << 20
)

// write is a new value of a key below the catalogue's prefix, or its removal.
type write struct {
	Key   string `json:"key"`
	Value []byte `json:"value,omitempty"` // empty: the key is removed
}

func (w write) bytes() int { return len(w.Key) + len(w.Value) }

// batches divides writes so that each batch is within the bounds of a transaction.
func batches(writes []write, ops, bytes int) (all [][]write) {
	size := 0
	for _, w := range writes {
		if n := len(all); n == 0 || len(all[n-1]) >= ops || size+w.bytes() > bytes {
			all, size = append(all, nil), 0
		}
		all[len(all)-1] = append(all[len(all)-1], w)
		size += w.bytes()
	}
	return all
}

// stagedKey returns the key of a chunk. The marker of an unfinished commit is the key without a number.
func stagedKey(id string, chunk int) string { return fmt.Sprintf("%s%s/%06d", stagedKeys, id, chunk) }
func markerKey(id string) string            { return stagedKeys + id }

// parseStaged returns the parts of the key of a chunk or a marker.
func parseStaged(key string) (id string, chunk int, marker, ok bool) {
	rest, ok := strings.CutPrefix(key, stagedKeys)
	id, number, found := strings.Cut(rest, "/")
	if !ok || id == "" {
		return "", 0, false, false
	}
	if !found {
		return id, 0, true, true
	}
	chunk, err := strconv.Atoi(number)
	return id, chunk, false, err == nil && stagedKey(id, chunk) == key
}

func encodeChunk(writes []write) ([]byte, error) {
	content, err := json.Marshal(writes)
	if err != nil {
		return nil, err
	}
	return seal(chunkFormat, chunkVersion, content)
}

func decodeChunk(value []byte) (writes []write, err error) {
	content, err := unseal(value, chunkFormat, chunkVersion)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(content, &writes); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return writes, nil
}

// staging is a commit in several transactions: its chunks so far, and the marker that its writer has not been lost.
type staging struct {
	chunks map[int][]byte // values, by number
	marked bool
}

// writes returns the changes of a commit whose chunks are all there.
func (s *staging) writes(ref stagedRef) (all []write, err error) {
	if s == nil || len(s.chunks) != ref.Chunks {
		return nil, fmt.Errorf("%w: chunks of the staged changes %s are missing", errDamaged, ref.ID)
	}
	for _, number := range slices.Sorted(maps.Keys(s.chunks)) {
		writes, err := decodeChunk(s.chunks[number])
		if err != nil {
			return nil, fmt.Errorf("staged changes %s: %w", ref.ID, err)
		}
		all = append(all, writes...)
	}
	return all, nil
}
