// Package services defines the two interfaces that every kind of service implements. A [Kind] turns a [Spec]
// into a [Deployment], and a Deployment serves requests until it is closed.
//
// The package lets registry, router and the kinds refer to each other. It holds no logic and no lock. The
// transaction that drives the interfaces is in services/control/deploy.
package services

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/schema"
)

// Spec describes one version of one service.
type Spec struct {
	// Key is the route key: a path prefix and an optional header match.
	Key      routekey.Key
	Kind     string            // name of the Kind
	Manifest registry.Manifest // fields that the Kind describes, in canonical form, and those of the middleware
	Blobs    []Blob            // in the order of registry.Version.Blobs
	Version  registry.Digest   // for logs: of the module, or of the manifest without secrets; the transaction sets it
	Origin   registry.Origin   // source of the request; the management API must not set it
	Note     registry.Note     // what the client says about the version
	Served   bool              // the version was served before the start of the server: Prepare may put work off until the first request
}

// Blob is a blob of a spec. A Kind must neither modify its content nor keep it after Close.
type Blob struct {
	Field   string          // name of the field that it is a value of
	Digest  registry.Digest // of the content; computed if empty
	Content []byte          // nil: it is read by Read, or without that from the catalogue by its digest
	// Read returns the content, which SizeBytes and Digest describe. With it, many blobs are not in memory at once. Content is
	// nil then.
	Read      func() ([]byte, error)
	SizeBytes int64 // if Read is set
}

// Size returns the size of the content, in bytes.
func (b Blob) Size() int64 {
	if b.Content == nil {
		return b.SizeBytes
	}
	return int64(len(b.Content))
}

// Blob returns the first blob of a field, or the zero Blob.
func (s Spec) Blob(field string) Blob {
	for _, b := range s.Blobs {
		if b.Field == field {
			return b
		}
	}
	return Blob{}
}

// Middleware returns the modules in front of the service, the outermost first.
func (s Spec) Middleware() []Blob {
	return slices.DeleteFunc(slices.Clone(s.Blobs), func(b Blob) bool { return b.Field != schema.FieldUse })
}

// OfKind returns the spec as the kind of the service sees it: without the fields that the transaction adds.
func (s Spec) OfKind() Spec {
	s.Manifest = schema.OfKind(s.Manifest)
	s.Blobs = slices.DeleteFunc(slices.Clone(s.Blobs), func(b Blob) bool { return b.Field == schema.FieldUse })
	return s
}

// StoredBlobs returns the blobs of a version in the catalogue, without their content.
func StoredBlobs(v registry.Version) (blobs []Blob) {
	for _, b := range v.Blobs {
		blobs = append(blobs, Blob{Field: b.Field, Digest: b.Digest})
	}
	return blobs
}

// Module returns the blob of a spec that is one module.
func Module(content []byte) []Blob { return []Blob{{Field: schema.FieldModule, Content: content}} }

// Trusted reports whether the spec comes from the server's configuration file. Such a spec may use options
// that a deploy token does not grant.
func (s Spec) Trusted() bool { return s.Origin == registry.OriginFile }

// Kind is a kind of service that can be bound to a prefix. Its methods are called concurrently.
//
// An error that is or wraps a *problem.Problem is sent to the client unchanged. For any other error the
// client learns only that the server failed, and the details are logged.
type Kind interface {
	// Describe returns the name and the fields of the kind. Neither names nor meanings may change, because
	// catalogues store them. The transaction adds the fields of schema.Shared.
	Describe() schema.Kind
	// Validate reports all violations at once and has no side effects. It may be incomplete so that it stays
	// fast: Prepare must find the remaining ones.
	Validate(s Spec) error
	// Prepare does everything that can fail: after it, the deployment serves as soon as it is routed to. Its
	// effects are not visible to requests. It honours ctx and releases everything if it fails.
	Prepare(ctx context.Context, s Spec) (Deployment, error)
}

// FieldsChecker is implemented by kinds whose Validate reads a module.
type FieldsChecker interface {
	// ValidateFields reports the violations that Validate finds without the module.
	ValidateFields(m registry.Manifest) error
}

// BlobReader is implemented by kinds whose Prepare reads the blobs of a spec from the catalogue if they have no content and the
// spec is Served. They need not be read for other kinds.
type BlobReader interface{ ReadsBlobs() }

// Interfaced is implemented by kinds that know what a module imports and exports.
type Interfaced interface {
	// Interfaces returns the names of the imports and exports of a module, sorted. It has no side effects.
	Interfaces(module []byte) (imports, exports []string, err error)
}

// Inert is implemented by kinds whose deployments have no effects outside of the server for a router.Request that is
// Mirrored, and refuse to write to stores. Only their versions can be mirrors.
type Inert interface{ Inert() }

// Deployment is a prepared version. Serve, Status and Scale are called concurrently once the route is
// published.
type Deployment interface {
	router.Handler
	// Status never blocks. It may be called at any time, including after Close.
	Status() Status
	// Scale releases resources while requests may arrive. The deployment must be able to acquire them again
	// for a later request, which then has a colder start. Instances that serve a request are kept.
	Scale(ctx context.Context, to Scale) error
	// Close releases all resources. It is called exactly once, after the last route to the deployment is
	// gone. Requests still running then have outlived the drain and are stopped. A request that waited for
	// admission may call Serve after Close and must get an error. ctx bounds the wait for requests, not the
	// release.
	Close(ctx context.Context) error
}

// Retirer is implemented by deployments that need to know when requests are no longer routed to them. Retire
// is called at most once, after the change is published and before requests in flight are awaited. It must
// not block. A deployment that was never published is closed without it.
type Retirer interface{ Retire() }

// Forgetter is implemented by deployments that leave data on disk for the next start of the server. Forget is called at
// most once, when the version is replaced or removed, but not when the server stops. Requests in flight may go on. It must not block for long.
type Forgetter interface{ Forget() }

// Loader is implemented by deployments whose code is loaded for a request after a time without any.
type Loader interface {
	// Unloaded reports whether the next request loads code first. It is called for each request, and must be quick.
	Unloaded() bool
	// TimeLimit returns the time that a request may take from its admission.
	TimeLimit() time.Duration
}

// Neighbour is implemented by deployments that can conflict with another one, such as a second default queue.
// CheckBeside is called before publication with all other deployments that would be live. If it returns an
// error, the change is refused; the error is reported like one of a Kind. CheckBeside has no side effects.
type Neighbour interface {
	CheckBeside(others []Deployment) error
}

// Middleware is a Deployment that runs in front of another one.
type Middleware interface {
	Deployment
	// ServeBefore serves a request and can pass it on to next. It calls next at most once, on the same
	// goroutine and with a separate result, and adds the costs in that result to res. If next fails without
	// writing a response, ServeBefore returns its error wrapped.
	ServeBefore(w http.ResponseWriter, r *router.Request, res *accesslog.Result, next router.Handler) error
}

// MiddlewareKind validates and prepares Middleware, under the same rules as Kind. The manifest of a spec is that of the
// service behind; the field module has the module of the middleware.
type MiddlewareKind interface {
	ValidateMiddleware(s Spec) error
	PrepareMiddleware(ctx context.Context, s Spec) (Middleware, error)
}

// Scale is the extent to which a deployment is scaled down.
type Scale int

// The values of Scale. EvictCode includes ScaleToZero.
const (
	ScaleToZero Scale = iota // release instances and slots
	EvictCode                // release the compiled code too
)

// String returns the scale as text for logs.
func (s Scale) String() string {
	switch s {
	case ScaleToZero:
		return "scale to zero"
	case EvictCode:
		return "evict code"
	}
	return "unknown scale"
}

// The states of a deployment, as reported by Status.
const (
	StateReady     = "ready"     // prepared; compiled code is loaded
	StateIdle      = "idle"      // scaled to zero, code still loaded
	StateEvicted   = "evicted"   // scaled to zero, code evicted
	StateStarting  = "starting"  // in the catalogue but not prepared yet: requests wait
	StateMissing   = "missing"   // the directory it serves is missing: answers 503 until it returns
	StateElsewhere = "elsewhere" // other hosts of the catalogue serve it: requests are passed on
	StateFailed    = "failed"    // in the catalogue, but could not be prepared: answers 503
)

// Status describes the current state of a deployment.
type Status struct {
	ABI           string // guest ABI, as text; empty for services without a guest
	Target        string // destination of requests, in one line; empty if the ABI is sufficient
	State         string // one of the State constants
	MemoryBytes   int64  // linear memory budget of one request
	SnapshotBytes int64
	Warm          int // instances ready to serve
	InFlight      int // requests being served
	Isolation     string
	Exports       []string  // interfaces that a component exports, with their versions; nil for other modules
	Imports       []string  // interfaces that a component imports
	FreshReason   string    // why isolation is "fresh" although it was not requested; else empty
	Warnings      []string  // sentences for the service's owner
	LastUsed      time.Time // end of the last request; zero if there was none
	Queue         *QueueStatus
	Upstreams     []UpstreamStatus // of a proxy
	Counts        Counts
}

// Counts are counts of the version since it was prepared.
type Counts struct {
	Calls        uint64 // requests of guests to other servers and services
	CallsRefused uint64 // of these, requests that were not allowed, malformed, or too many
	CallsOpen    int64  // begun and not closed
	LogDropped   int64  // lines of guests beyond the rate of the log
	Discarded    int64  // instances closed after a request that did not end well, or because of a failed reset
	Unloaded     int64  // releases of compiled code and snapshot
	Evicted      int64  // warm instances that lost their slots to another service
}

// UpstreamStatus is the state of an upstream. Counts begin when the version was prepared.
type UpstreamStatus struct {
	Name     string // its origin, as in the manifest
	InFlight int
	Requests uint64 // sent, with retries
	Failures uint64 // failed connections, for which it was set aside
	Aside    bool   // set aside at the moment
}

// QueueStatus counts the requests of a queue. It is nil for deployments without a queue.
type QueueStatus struct {
	Depth   int       // capacity for waiting requests
	Waiting int       // requests not taken by a worker
	Leased  int       // requests taken by a worker and not answered
	Damaged int       // stored requests set aside as unreadable since the server's start
	Workers int       // workers that wait for a request
	Oldest  time.Time // when the request was added that is taken next; zero if none waits
}
