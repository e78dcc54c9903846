package queue

import (
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/services/internal/document"
)

// Bounds of a document.
const (
	maxDepth = 100_000
	minLease = 10 * time.Millisecond
)

// DefaultDepth is how many requests may wait where the document does not say.
const DefaultDepth = 1000

// Document says how the queue of a prefix is. It is what the catalogue keeps, as JSON; see [Document.Encode].
type Document struct {
	Depth     int    `json:"depth,omitempty"`     // requests that wait for a worker; zero: DefaultDepth
	Lease     string `json:"lease,omitempty"`     // a Go duration: how long a worker has for a request
	Redeliver bool   `json:"redeliver,omitempty"` // hand requests out again whose lease has ended, though their method is not idempotent
	Default   bool   `json:"default,omitempty"`   // workers that name no service get this one's requests
	Durable   bool   `json:"durable,omitempty"`   // keep requests on disk whose client does not wait
}

// Encode gives the canonical form: the same queue is always the same bytes, and so has one digest.
func (d Document) Encode() []byte {
	if d.Depth == DefaultDepth {
		d.Depth = 0
	}
	if lease, err := time.ParseDuration(d.Lease); err == nil {
		d.Lease = lease.String()
	}
	return document.Encode(d)
}

// Decode reads a document. It looks at the form alone: what the members say is checked when it is deployed. The error is fit for
// the client.
func Decode(text []byte) (Document, error) {
	var d Document
	err := document.Decode(text, &d, "a queue")
	return d, err
}

// plan is a document that was found valid, with the defaults filled in.
type plan struct {
	depth     int
	lease     time.Duration // zero: none is given
	timeout   time.Duration // for a client that waits
	redeliver bool
	isDefault bool
	durable   bool
}

// plan checks all that the document says.
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

// leaseFor is how long a worker has for a request. Without a lease in the document, one that can be handed out again gets half of the
// time, so that there is a second try.
func (p *plan) leaseFor(redeliver bool) time.Duration {
	switch {
	case p.lease > 0:
		return p.lease
	case redeliver:
		return p.timeout / 2
	}
	return p.timeout
}
