package admin

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// serviceView is the JSON form of a service. Its names are a stable API: see the package comment.
type serviceView struct {
	Prefix      string              `json:"prefix"`
	Match       string              `json:"match,omitempty"`
	Digest      registry.Digest     `json:"digest"`        // of the whole version: see registry.Version.ContentDigest
	Module      registry.Digest     `json:"module_digest"` // of the module or document
	Generation  registry.Generation `json:"generation"`
	Kind        string              `json:"kind"`
	Origin      registry.Origin     `json:"origin,omitempty"`
	ABI         string              `json:"abi"`
	Target      string              `json:"target,omitempty"`
	Memory      int64               `json:"memory"`
	Timeout     string              `json:"timeout,omitempty"`
	Isolation   string              `json:"isolation"`
	FreshReason string              `json:"fresh_reason,omitempty"`
	Warnings    []string            `json:"warnings,omitempty"`
	Allow       []string            `json:"allow,omitempty"`
	Config      []string            `json:"config,omitempty"` // names only: values may be secrets
	Mount       map[string]string   `json:"mount,omitempty"`
	Use         []registry.Digest   `json:"use,omitempty"`
	UseConfig   []string            `json:"use_config,omitempty"` // names only
	Size        int64               `json:"size"`
	Snapshot    int64               `json:"snapshot"`
	State       string              `json:"state"`
	Problem     string              `json:"problem,omitempty"`
	Warm        int                 `json:"warm"`
	InFlight    int                 `json:"in_flight"`
	Queue       *queueView          `json:"queue,omitempty"`
	Retiring    *retiringView       `json:"retiring,omitempty"`
	Deployed    time.Time           `json:"deployed"`
	LastUsed    time.Time           `json:"last_used,omitzero"`
	History     []versionView       `json:"history,omitempty"`
	Changes     []string            `json:"changes,omitzero"` // nil unless the request changed an existing service
	Kept        []string            `json:"kept,omitempty"`
}

// queueView is the JSON form of the requests in a queue.
type queueView struct {
	Depth   int `json:"depth"`
	Waiting int `json:"waiting"`
	Leased  int `json:"leased"`
	Damaged int `json:"damaged,omitempty"`
}

// retiringView is the JSON form of earlier versions that still have requests.
type retiringView struct {
	Versions int   `json:"versions"`
	Requests int   `json:"requests"`
	Snapshot int64 `json:"snapshot"` // bytes
}

// versionView is the JSON form of an earlier version.
type versionView struct {
	Digest     registry.Digest     `json:"digest"`
	Module     registry.Digest     `json:"module_digest"`
	Generation registry.Generation `json:"generation"`
	Kind       string              `json:"kind"`
	Memory     int64               `json:"memory,omitempty"`
	Timeout    string              `json:"timeout,omitempty"`
	Isolation  string              `json:"isolation,omitempty"`
	Use        []registry.Digest   `json:"use,omitempty"`
	Size       int64               `json:"size"`
	Deployed   time.Time           `json:"deployed"`
}

// listView is the JSON form of all services.
type listView struct {
	Services []serviceView `json:"services"`
	Starting *startView    `json:"starting,omitempty"` // nil once the server is ready
}

// startView is the JSON form of the progress of the server's start.
type startView struct {
	Done  int `json:"done"` // prepared or failed
	Total int `json:"total"`
}

// stateView is an answer that has only a state.
type stateView struct {
	Prefix string `json:"prefix,omitempty"`
	Match  string `json:"match,omitempty"`
	State  string `json:"state"`
}

// healthView is the answer of health.
type healthView struct {
	State          string `json:"state"`
	DroppedRecords int64  `json:"dropped_records,omitempty"`
}

// viewOf returns the view of a service without its history. A service that could not be prepared reports only
// its state, so the requested memory and isolation are shown instead of the actual ones.
func viewOf(service registry.Service, status services.Status) serviceView {
	version := service.Current
	prefix, match := splitKey(service.Prefix)
	v := serviceView{
		Prefix:      prefix,
		Match:       match,
		Digest:      version.ContentDigest(),
		Module:      version.Digest,
		Generation:  version.Generation,
		Kind:        version.Kind,
		Origin:      version.Origin,
		ABI:         status.ABI,
		Target:      status.Target,
		Memory:      status.MemoryBytes,
		Timeout:     durationText(version.Options.Timeout),
		Isolation:   status.Isolation,
		FreshReason: status.FreshReason,
		Warnings:    status.Warnings,
		Allow:       version.Options.Allow,
		Config:      slices.Sorted(maps.Keys(version.Options.Config)),
		Mount:       version.Options.Mounts,
		Use:         version.Options.Use,
		UseConfig:   slices.Sorted(maps.Keys(version.Options.UseConfig)),
		Size:        version.SizeBytes,
		Snapshot:    status.SnapshotBytes,
		State:       status.State,
		Warm:        status.Warm,
		InFlight:    status.InFlight,
		Deployed:    version.Deployed.UTC(),
		LastUsed:    status.LastUsed.UTC(),
	}
	if v.Memory == 0 {
		v.Memory = version.Options.MemoryBytes
	}
	if q := status.Queue; q != nil {
		v.Queue = &queueView{Depth: q.Depth, Waiting: q.Waiting, Leased: q.Leased, Damaged: q.Damaged}
	}
	if v.Isolation == "" {
		v.Isolation = version.Options.Isolation
	}
	return v
}

// splitKey splits a route key into prefix and match, which are separated by a space.
func splitKey(bound registry.Prefix) (prefix, match string) {
	prefix, match, _ = strings.Cut(string(bound), " ")
	return prefix, match
}

// viewOfEntry returns the view of an entry, with the reason if it is unavailable, in words fit for a client.
func viewOfEntry(e deploy.Entry) serviceView {
	v := viewOf(e.Service, e.Status)
	if e.Problem != nil {
		v.Problem = reasonOf(e.Problem)
	}
	if r := e.Retiring; r.Versions > 0 {
		v.Retiring = &retiringView{Versions: r.Versions, Requests: r.Requests, Snapshot: r.SnapshotBytes}
	}
	return v
}

func reasonOf(err error) string {
	var told *problem.Problem
	if !errors.As(err, &told) {
		return "the service could not be prepared; the server's log has the reason"
	}
	return strings.Join(append([]string{told.Detail}, told.Violations...), "; ")
}

func historyOf(service registry.Service) []versionView {
	var views []versionView
	for _, version := range service.History {
		views = append(views, versionView{
			Digest:     version.ContentDigest(),
			Module:     version.Digest,
			Generation: version.Generation,
			Kind:       version.Kind,
			Memory:     version.Options.MemoryBytes,
			Timeout:    durationText(version.Options.Timeout),
			Isolation:  version.Options.Isolation,
			Use:        version.Options.Use,
			Size:       version.SizeBytes,
			Deployed:   version.Deployed.UTC(),
		})
	}
	return views
}

// durationText formats a duration so that it can be parsed again. Zero is empty.
func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}
