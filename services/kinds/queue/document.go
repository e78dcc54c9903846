package queue

import (
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
)

// Limits of a document.
const (
	maxDepth = 100_000
	minLease = 10 * time.Millisecond
)

// DefaultDepth is the depth of queues whose document has none.
const DefaultDepth = 1000

// Document is the configuration of a queue: the fields of [Description].
type Document struct {
	Depth     int           `json:"depth,omitempty"`     // maximum number of waiting requests; zero: DefaultDepth
	Lease     schema.Period `json:"lease,omitempty"`     // how long a worker has for a request
	Redeliver bool          `json:"redeliver,omitempty"` // redeliver requests after their lease ends even if the method is not idempotent
	Default   bool          `json:"default,omitempty"`   // serve workers that name no service
	Durable   bool          `json:"durable,omitempty"`   // store asynchronous requests on disk
	Timeout   schema.Period `json:"timeout,omitempty"`   // of a waiting client; zero: DefaultTimeout
}

// Description describes the kind.
func Description() schema.Kind {
	return schema.Kind{
		Name:  KindName,
		Title: "a queue",
		Forms: []schema.Form{{Requires: []string{"queue"}, Fields: fields(), Delegated: true}},
	}
}

// Names of fields that violations are about.
const (
	fieldDepth   = "depth"
	fieldLease   = "lease"
	fieldDurable = "durable"
)

func fields() []schema.Field {
	return []schema.Field{
		{
			Name: "queue",
			Type: schema.Mark,
			Help: "Let requests wait for workers, which fetch and answer them over HTTP, by Prack's protocol.",
		},
		{
			Name:    fieldDepth,
			Type:    schema.Count,
			Form:    "N",
			Help:    "Number of requests that may wait.",
			Default: strconv.Itoa(DefaultDepth),
		},
		{
			Name:    fieldLease,
			Type:    schema.Duration,
			Form:    "DURATION",
			Help:    "How long a worker has for a request.",
			Absent:  "the timeout, or half of it if the request can be redelivered",
			Example: "10s",
		},
		{Name: "redeliver", Type: schema.Bool, Help: "Hand a request out again whose worker did not answer, even if its method is not idempotent."},
		{Name: "default", Type: schema.Bool, Help: "Serve workers that name no queue.", Grant: true},
		{Name: fieldDurable, Type: schema.Bool, Help: "Accept requests whose client does not wait, and keep them and their answers on disk."},
		schema.Timeout("Time limit of a client that waits for its answer.", DefaultTimeout.String()),
	}
}

// Encode returns the manifest. Equal documents have equal manifests.
func (d Document) Encode() registry.Manifest { return schema.Encode(fields(), d) }

// Decode reads a manifest. It checks the syntax only. Values are checked
// when the queue is deployed. The error may be sent to the client.
func Decode(m registry.Manifest) (Document, error) { return schema.Decode[Document](m) }

// plan is a valid document with its defaults filled in.
type plan struct {
	depth     int
	lease     time.Duration // zero: not specified
	timeout   time.Duration // for a waiting client
	redeliver bool
	isDefault bool
	durable   bool
}

// plan validates the document and returns all violations.
func (d Document) plan() (*plan, problem.Violations) {
	var violations problem.Violations
	p := &plan{
		depth:     d.Depth,
		lease:     time.Duration(d.Lease),
		timeout:   time.Duration(d.Timeout),
		redeliver: d.Redeliver,
		isDefault: d.Default,
		durable:   d.Durable,
	}
	if p.depth == 0 {
		p.depth = DefaultDepth
	}
	if p.depth < 0 || p.depth > maxDepth {
		violations.Add(fieldDepth, "is %d: it must be between 1 and %d", d.Depth, maxDepth)
	}
	if p.timeout < 0 || p.timeout > MaxTimeout {
		violations.Add(schema.FieldTimeout, "is %s: it must be more than 0 and at most %s", p.timeout, MaxTimeout)
	}
	if p.timeout == 0 {
		p.timeout = DefaultTimeout
	}
	if p.lease != 0 && (p.lease < minLease || p.lease > MaxTimeout) {
		violations.Add(fieldLease, "is %s: it must be between %s and %s", p.lease, minLease, MaxTimeout)
	}
	return p, violations
}

// leaseFor returns the lease of a request. Without a lease in the document, a request that
// can be redelivered gets half of the timeout, so that there is time for a second attempt.
func (p *plan) leaseFor(redeliver bool) time.Duration {
	switch {
	case p.lease > 0:
		return p.lease
	case redeliver:
		return p.timeout / 2
	}
	return p.timeout
}
