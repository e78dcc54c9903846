package admin

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/deploy"
)

// serviceView is the JSON form of a service. Its names are a public promise: see the package comment.
type serviceView struct {
	Prefix      string              `json:"prefix"`
	Match       string              `json:"match,omitempty"`
	Digest      registry.Digest     `json:"digest"`        // of all that the version is: see registry.Version.ContentDigest
	Module      registry.Digest     `json:"module_digest"` // of the module, or the document of another kind
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
	Config      []string            `json:"config,omitempty"` // names alone: values may be secrets
	Mount       map[string]string   `json:"mount,omitempty"`
	Use         []registry.Digest   `json:"use,omitempty"`
	UseConfig   []string            `json:"use_config,omitempty"` // names alone
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
	Changes     []string            `json:"changes,omitzero"` // nil but in the answer to a change of a service that there was
	Kept        []string            `json:"kept,omitempty"`
}

// queueView is the JSON form of the requests that wait for workers.
type queueView struct {
	Depth   int `json:"depth"`
	Waiting int `json:"waiting"`
	Leased  int `json:"leased"`
	Damaged int `json:"damaged,omitempty"`
}

// retiringView is the JSON form of the earlier versions that still have requests.
type retiringView struct {
	Versions int   `json:"versions"`
	Requests int   `json:"requests"`
	Snapshot int64 `json:"snapshot"` // bytes that they hold
}

// versionView is the JSON form of a version that is not current any more.
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
	Starting *startView    `json:"starting,omitempty"` // nil once all are prepared
}

// startView is the JSON form of how far the start of the server has come.
type startView struct {
	Done  int `json:"done"` // prepared, or failed
	Total int `json:"total"`
}

// stateView answers what has no more to tell than a state.
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

// viewOf gives the view of a service without its history. A service that could not be prepared has no status beyond its state; what was
// asked for stands in for it.
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

// splitKey gives the prefix and the match of what a service is bound to, which has one space between them.
func splitKey(bound registry.Prefix) (prefix, match string) {
	prefix, match, _ = strings.Cut(string(bound), " ")
	return prefix, match
}

// viewOfEntry adds why a service is unavailable, in words that are fit for a client.
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

// durationText writes a duration as it is read; none is empty.
func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}
