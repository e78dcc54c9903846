// Package placement describes on which hosts of a common catalogue a service is served: the labels that these must have, and
// their number. The package is pure.
package placement

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
)

// Limits of labels and fields.
const (
	MaxLabels     = 32   // of a host, and of the field on
	MaxLabelBytes = 128  // of a label
	MaxReplicas   = 1000 // of the field replicas
)

// Placement says which hosts serve a service. The zero Placement is all of them.
type Placement struct {
	On       []string `json:"on"`       // labels, all of which a host must have
	Replicas int      `json:"replicas"` // number of these hosts that serve; 0: all
}

// Of returns the placement of a manifest. One that is malformed has none.
func Of(m registry.Manifest) Placement {
	return schema.Part[Placement](m, schema.FieldOn, schema.FieldReplicas)
}

// IsZero reports whether all hosts serve the service.
func (p Placement) IsZero() bool { return len(p.On) == 0 && p.Replicas == 0 }

// Fits reports whether a host with the labels can serve the service.
func (p Placement) Fits(labels []string) bool {
	return !slices.ContainsFunc(p.On, func(want string) bool { return !slices.Contains(labels, want) })
}

// EqualBut reports whether two manifests are equal but for the placement.
func EqualBut(a, b registry.Manifest) bool {
	without := func(m registry.Manifest) (fields map[string]json.RawMessage) {
		if json.Unmarshal([]byte(m), &fields) != nil {
			return nil
		}
		delete(fields, schema.FieldOn)
		delete(fields, schema.FieldReplicas)
		return fields
	}
	x, y := without(a), without(b)
	return x != nil && y != nil && maps.EqualFunc(x, y, func(p, q json.RawMessage) bool { return bytes.Equal(p, q) })
}

// Check returns the violations of the fields of a manifest.
func Check(m registry.Manifest) (violations problem.Violations) {
	p := Of(m)
	if p.Replicas > MaxReplicas {
		violations.Add(schema.FieldReplicas, "is %d: it must be at most %d", p.Replicas, MaxReplicas)
	}
	for _, text := range CheckLabels(p.On) {
		violations.Add(schema.FieldOn, "%s", text)
	}
	return violations
}

// CheckLabels returns the violations of a list of labels, as predicates for the field.
func CheckLabels(labels []string) (wrong []string) {
	if len(labels) > MaxLabels {
		return []string{fmt.Sprintf("has %d labels: at most %d are possible", len(labels), MaxLabels)}
	}
	for i, label := range labels {
		switch {
		case !isLabel(label):
			wrong = append(wrong, fmt.Sprintf("has %.140q: write a label as NAME or NAME=VALUE, of at most %d letters, digits and any of . _ - / :", label, MaxLabelBytes))
		case slices.Contains(labels[:i], label):
			wrong = append(wrong, fmt.Sprintf("has the label %q more than once", label))
		}
	}
	return wrong
}

func isLabel(label string) bool {
	name, value, paired := strings.Cut(label, "=")
	return len(label) <= MaxLabelBytes && name != "" && (!paired || value != "") && plain(name) && plain(value)
}

func plain(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("._-/:", r)
	})
}

// Ranked returns the indices of names in the order of their weights for a service, the highest first (rendezvous hashing). If a
// host comes or goes, the order of the others stays.
func Ranked(service string, names []string) []int {
	order, weights := make([]int, len(names)), make([]uint64, len(names))
	for i, name := range names {
		order[i], weights[i] = i, Weight(service, name)
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case weights[a] > weights[b]:
			return -1
		case weights[a] < weights[b]:
			return 1
		}
		return strings.Compare(names[a], names[b])
	})
	return order
}

// Weight returns the weight of a host for a service.
func Weight(service, name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(service)) // a hash never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(name))
	return mixed(h.Sum64())
}

// mixed spreads a hash over all bits: the last bytes of a name change only the low ones of FNV. It is the end of MurmurHash3.
func mixed(n uint64) uint64 {
	n ^= n >> 33
	n *= 0xff51afd7ed558ccd
	n ^= n >> 33
	n *= 0xc4ceb9fe1a85ec53
	return bits.ReverseBytes64(n ^ n>>33)
}
