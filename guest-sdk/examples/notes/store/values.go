package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

var errChanged = errors.New("the key has another version")

// entry is a key with its value.
type entry struct {
	Key     string          `json:"key"`
	Version string          `json:"version"`
	Value   json.RawMessage `json:"value"`
}

// content is what the file has.
type content struct {
	Last    int              `json:"last"` // number of the last version, of any key
	Entries map[string]entry `json:"entries"`
}

// values holds the entries in memory and in a file, which is written as a whole. That is slow for large stores.
type values struct {
	file string // immutable

	mu  sync.Mutex
	now content // guarded by mu
}

// open reads the file. A file that does not exist is empty.
func open(file string) (*values, error) {
	v := &values{file: file, now: content{Entries: map[string]entry{}}}
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return v, nil
	} else if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &v.now); err != nil {
		return nil, err
	}
	if v.now.Entries == nil {
		v.now.Entries = map[string]entry{}
	}
	return v, nil
}

func (v *values) get(key string) (entry, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e, ok := v.now.Entries[key]
	return e, ok
}

// put writes a value if the key has the given version, "" for none, and returns the new version. After an error the key
// has its old value.
func (v *values) put(key string, value []byte, version string) (next string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	old, existed := v.now.Entries[key]
	if old.Version != version {
		return "", errChanged
	}
	v.now.Last++
	next = strconv.Quote(strconv.Itoa(v.now.Last))
	v.now.Entries[key] = entry{key, next, value}
	if err := v.write(); err != nil {
		delete(v.now.Entries, key)
		if existed {
			v.now.Entries[key] = old
		}
		return "", err
	}
	return next, nil
}

// list returns the first entries that match, in the order of their keys.
func (v *values) list(match func(key string) bool, limit int) []entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	found := []entry{}
	for key, e := range v.now.Entries {
		if match(key) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b entry) int { return strings.Compare(a.Key, b.Key) })
	return found[:min(limit, len(found))]
}

// write replaces the file. Readers of it see the old or the new content, also after a crash.
func (v *values) write() error {
	text, err := json.Marshal(v.now)
	if err != nil {
		return err
	}
	dir := filepath.Dir(v.file)
	temporary, err := os.CreateTemp(dir, filepath.Base(v.file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(text)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), v.file); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
