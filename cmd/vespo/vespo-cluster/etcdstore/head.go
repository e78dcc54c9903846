package etcdstore

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/vespo-dev/vespo/registry"
)

// Keys below the catalogue's prefix.
const (
	headKey     = "generation"
	serviceKeys = "service" // followed by the route key, which begins with a slash
	recordKeys  = "record/"
	stagedKeys  = "staged/"
	asideKeys   = "aside/"
)

const (
	headVersion = 1
	maxRecent   = 32
)

// head is the value of the generation key. A commit is the change of this key.
type head struct {
	Generation registry.Generation `json:"generation"`
	Catalogue  string              `json:"catalogue"`        // random, chosen by the first commit
	Commit     string              `json:"commit"`           // random; one generation can be attempted by several hosts
	Recent     []string            `json:"recent,omitempty"` // the commits before, latest first
	Sum        string              `json:"sum"`              // of the hashes of all entries
	Staged     *stagedRef          `json:"staged,omitempty"`
}

// stagedRef refers to changes that are part of the catalogue, and not yet in the keys of their services.
type stagedRef struct {
	ID     string `json:"id"`
	Chunks int    `json:"chunks"`
}

// next returns the head after a commit.
func (h head) next(generation registry.Generation, commit string, sum digest) head {
	out := head{Generation: generation, Catalogue: h.Catalogue, Commit: commit, Sum: sum.String()}
	if out.Catalogue == "" {
		out.Catalogue = rand.Text()
	}
	if h.Commit != "" {
		out.Recent = append([]string{h.Commit}, h.Recent...)
	}
	out.Recent = out.Recent[:min(len(out.Recent), maxRecent)]
	return out
}

// has reports whether the commit is the last one or one of those before.
func (h head) has(commit string) bool { return h.Commit == commit || slices.Contains(h.Recent, commit) }

func (h head) encode() ([]byte, error) {
	content, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return seal(headFormat, headVersion, content)
}

func decodeHead(value []byte) (h head, err error) {
	content, err := unseal(value, headFormat, headVersion)
	if err != nil {
		return h, fmt.Errorf("%s: %w", headKey, err)
	}
	if err := json.Unmarshal(content, &h); err != nil {
		return h, fmt.Errorf("%s: %w: %w", headKey, errDamaged, err)
	}
	return h, nil
}
