package admin

import (
	"errors"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/identity"
	"github.com/vespo-dev/vespo/services/schema"
)

// serviceView is the JSON form of a service. Its names are a stable API: see the package comment.
type serviceView struct {
	Prefix      string              `json:"prefix"`
	Match       string              `json:"match,omitempty"`
	Digest      registry.Digest     `json:"digest"`        // of the whole version: see registry.Version.ContentDigest
	Module      registry.Digest     `json:"module_digest"` // of the module or document
	Number      registry.Number     `json:"number"`        // of the version among those of its service
	Generation  registry.Generation `json:"generation"`
	Kind        string              `json:"kind"`
	Origin      registry.Origin     `json:"origin,omitempty"`
	ABI         string              `json:"abi"`
	Exports     []string            `json:"exports,omitempty"`
	Imports     []string            `json:"imports,omitempty"`
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
	Options     options             `json:"options,omitempty"`
	Size        int64               `json:"size"`
	Snapshot    int64               `json:"snapshot"`
	State       string              `json:"state"`
	Problem     string              `json:"problem,omitempty"`
	Evictions   int64               `json:"evictions,omitempty"`
	Warm        int                 `json:"warm"`
	InFlight    int                 `json:"in_flight"`
	Requests    uint64              `json:"requests"`
	Errors      uint64              `json:"errors"`
	Queue       *queueView          `json:"queue,omitempty"`
	Schedules   []scheduleView      `json:"schedules,omitempty"`
	Retiring    *retiringView       `json:"retiring,omitempty"`
	Deployed    time.Time           `json:"deployed"`
	Message     string              `json:"message,omitempty"`
	Author      string              `json:"author,omitempty"`
	LastUsed    time.Time           `json:"last_used,omitzero"`
	History     []versionView       `json:"history,omitempty"`
	Follow      *followView         `json:"follow,omitempty"` // of inspect: how far the server is that follows another one
	Store       *commonView         `json:"store,omitempty"`  // of inspect: how far the server is with the store of a common catalogue
	Changes     []string            `json:"changes,omitzero"` // nil unless the request changed an existing service
	Kept        []string            `json:"kept,omitempty"`
	Traffic     *trafficView        `json:"traffic,omitempty"`
	Staged      registry.Number     `json:"staged,omitempty"` // the version that the request has given a share
	DryRun      bool                `json:"dry_run,omitempty"`
	// RolledBackTo is the generation that the version had before; 0 unless the request was a rollback.
	RolledBackTo registry.Generation `json:"rolled_back_to,omitempty"`
	URL          string              `json:"url,omitempty"` // of the service, in answers of listeners that do not serve it
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
	Number     registry.Number     `json:"number"`
	Generation registry.Generation `json:"generation"`
	Kind       string              `json:"kind"`
	Memory     int64               `json:"memory,omitempty"`
	Timeout    string              `json:"timeout,omitempty"`
	Isolation  string              `json:"isolation,omitempty"`
	Use        []registry.Digest   `json:"use,omitempty"`
	Size       int64               `json:"size"`
	Deployed   time.Time           `json:"deployed"`
	Message    string              `json:"message,omitempty"`
	Author     string              `json:"author,omitempty"`
	Origin     registry.Origin     `json:"origin,omitempty"`
}

// listView is the JSON form of all services.
type listView struct {
	Services []serviceView `json:"services"`
	Starting *startView    `json:"starting,omitempty"` // nil once the server is ready
	Follow   *followView   `json:"follow,omitempty"`   // nil unless the server follows another one
	Store    *commonView   `json:"store,omitempty"`    // nil unless the catalogue is in a common store
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
	Follow         string `json:"follow,omitempty"` // the state of a follower
	Store          string `json:"store,omitempty"`  // the state of a host with a common store
}

// viewOf returns the view of a service without its history. A service that could not be prepared reports only
// its state, so the requested memory and isolation are shown instead of the actual ones.
func (h *Handler) viewOf(service registry.Service, status services.Status) serviceView {
	version := service.Current
	options := h.optionsOf(version)
	v := serviceView{
		Prefix:      string(service.Key.Prefix),
		Match:       service.Key.Match.String(),
		Digest:      version.ContentDigest(),
		Module:      moduleDigest(version),
		Number:      version.Number,
		Generation:  version.Generation,
		Kind:        version.Kind,
		Origin:      version.Origin,
		ABI:         status.ABI,
		Exports:     status.Exports,
		Imports:     status.Imports,
		Target:      status.Target,
		Memory:      status.MemoryBytes,
		Timeout:     options.text(schema.FieldTimeout),
		Isolation:   status.Isolation,
		FreshReason: status.FreshReason,
		Warnings:    status.Warnings,
		Allow:       options.list("allow"),
		Config:      options.list("config"),
		Mount:       options.pairs("mount"),
		Use:         version.BlobsOf(schema.FieldUse),
		UseConfig:   options.list(schema.FieldUseConfig),
		Options:     options,
		Size:        sizeOf(version),
		Snapshot:    status.SnapshotBytes,
		State:       status.State,
		Evictions:   status.Counts.Unloaded,
		Warm:        status.Warm,
		InFlight:    status.InFlight,
		Deployed:    version.Deployed.UTC(),
		Message:     version.Note.Message,
		Author:      version.Note.Author,
		LastUsed:    status.LastUsed.UTC(),
	}
	if v.Memory == 0 {
		v.Memory = options.number("memory")
	}
	if q := status.Queue; q != nil {
		v.Queue = &queueView{Depth: q.Depth, Waiting: q.Waiting, Leased: q.Leased, Damaged: q.Damaged}
	}
	if v.Isolation == "" {
		v.Isolation = options.text("isolation")
	}
	return v
}

// viewOfEntry returns the view of an entry, with the reason if it is unavailable, in words fit for a client.
func (h *Handler) viewOfEntry(e deploy.Entry) serviceView {
	v := h.viewOf(e.Service, e.Status)
	v.Requests, v.Errors = e.Requests, e.Errors
	v.Traffic = trafficOf(e.Service)
	v.Schedules = h.schedulesOf(e.Service.Key)
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
	return strings.Join(append([]string{told.Detail}, problem.Texts(told.Violations)...), "; ")
}

func (h *Handler) historyOf(service registry.Service) []versionView {
	var views []versionView
	for _, version := range service.History {
		views = append(views, h.versionOf(version))
	}
	return views
}

// versionOf returns the view of a version without its live state.
func (h *Handler) versionOf(version registry.Version) versionView {
	options := h.optionsOf(version)
	return versionView{
		Digest:     version.ContentDigest(),
		Module:     moduleDigest(version),
		Number:     version.Number,
		Generation: version.Generation,
		Kind:       version.Kind,
		Memory:     options.number("memory"),
		Timeout:    options.text(schema.FieldTimeout),
		Isolation:  options.text("isolation"),
		Use:        version.BlobsOf(schema.FieldUse),
		Size:       sizeOf(version),
		Deployed:   version.Deployed.UTC(),
		Message:    version.Note.Message,
		Author:     version.Note.Author,
		Origin:     version.Origin,
	}
}

// callerView is the JSON form of who sends a request.
type callerView struct {
	Kind    identity.Kind   `json:"kind"`
	Name    string          `json:"name,omitempty"`
	ID      string          `json:"id,omitempty"`
	Scopes  identity.Scopes `json:"scopes"`
	Expires time.Time       `json:"expires,omitzero"`
}
