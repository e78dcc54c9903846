package queue

import (
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/services/internal/document"
)

// Limits of a document.
const (
	maxDepth = 100_000
	minLease = 10 * time.Millisecond
)

// DefaultDepth is the depth of queues whose document has none.
const DefaultDepth = 1000

// Document configures a queue. The catalogue stores it as JSON: see [Document.Encode].
type Document struct {
	Depth     int    `json:"depth,omitempty"`     // maximum number of waiting requests; zero: DefaultDepth
	Lease     string `json:"lease,omitempty"`     // how long a worker has for a request, as a Go duration
	Redeliver bool   `json:"redeliver,omitempty"` // redeliver requests after their lease ends even if the method is not idempotent
	Default   bool   `json:"default,omitempty"`   // serve workers that name no service
	Durable   bool   `json:"durable,omitempty"`   // store asynchronous requests on disk
}

// Encode returns the canonical JSON, so that equal documents have equal digests.
func (d Document) Encode() []byte {
	if d.Depth == DefaultDepth {
		d.Depth = 0
	}
	if lease, err := time.ParseDuration(d.Lease); err == nil {
		d.Lease = lease.String()
	}
	return document.Encode(d)
}

// Decode parses a document. It checks the syntax only. Values are checked
// when the queue is deployed. The error may be sent to the client.
func Decode(text []byte) (Document, error) {
	var d Document
	err := document.Decode(text, &d, "a queue")
	return d, err
}

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
func (d Document) plan() (*plan, []string) {
	var violations []string
	refuse := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	p := &plan{depth: d.Depth, redeliver: d.Redeliver, isDefault: d.Default, durable: d.Durable}
	if p.depth == 0 {
		p.depth = DefaultDepth
	}
	if p.depth < 0 || p.depth > maxDepth {
		refuse("depth is %d: it must be between 1 and %d", d.Depth, maxDepth)
	}
	if d.Lease == "" {
		return p, violations
	}
	var err error
	if p.lease, err = time.ParseDuration(d.Lease); err != nil {
		refuse("lease is %.60q: write it like 500ms, 10s or 1m30s", d.Lease)
	} else if p.lease < minLease || p.lease > MaxTimeout {
		refuse("lease is %s: it must be between %s and %s", p.lease, minLease, MaxTimeout)
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
