package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// Causes of violations. Others are registry.ErrNotFound, registry.ErrNoVersion and the errors of Record.Edit.
var (
	// ErrDeclared is the cause if only the configuration file may change the service.
	ErrDeclared = errors.New("the service is declared in the configuration file")
	// ErrRepeated is the cause if two changes of a list concern the same service.
	ErrRepeated = errors.New("is declared more than once")
)

// Base is the state that changes are planned on.
type Base struct {
	State *registry.State
	// Failed holds the services of State that are not served. A Declare deploys them again.
	Failed map[routekey.Key]bool
	// FileRules is set if the server has a configuration file, whose services only Declare and Prune change.
	FileRules bool
	Now       time.Time // of the deploys
}

// Plan is the outcome of a list of changes. Services in neither Prepare nor Remove are kept as they are. Records need
// no preparation: they are in Next alone.
type Plan struct {
	Base, Next *registry.State
	Prepare    []Step         // services that get a version, in the order of the changes
	Remove     []routekey.Key // services that are removed
	Touched    []routekey.Key // services that the changes concern, even if they are refused
}

// Step is a service that gets a version.
type Step struct {
	Change  int              // index of its change
	Before  registry.Version // the replaced version; zero if Created
	Created bool             // the prefix was free
	// RolledBackTo is the generation that the version had before a rollback; else zero.
	RolledBackTo registry.Generation
	Service      registry.Service // in Plan.Next
	Staged       registry.Number  // the version that was deployed for a share of the requests; else zero
	// Fresh are the versions of Service that are prepared. Its other live versions are served already.
	Fresh []registry.Number
}

// Violation is the reason why one change is refused.
type Violation struct {
	Change int    // index
	Field  string // of the change, in lower case
	Err    error  // matches one of the causes
}

// Refusal is the error of changes that break rules. It holds all violations, at least one.
type Refusal []Violation

func (r Refusal) Error() string {
	texts := make([]string, 0, len(r))
	for _, v := range r {
		texts = append(texts, fmt.Sprintf("change %d: %s: %v", v.Change+1, v.Field, v.Err))
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the causes.
func (r Refusal) Unwrap() (all []error) {
	for _, v := range r {
		all = append(all, v.Err)
	}
	return all
}

// Make plans a list of changes. If it returns an error, which is a Refusal, only Touched is set.
func Make(base Base, changes []Change) (*Plan, error) {
	p := newPlanner(base, changes)
	for i, c := range changes {
		p.index = i
		c.decide(p)
	}
	return p.result()
}

// Equivalent reports whether p and q deploy the same contents over the same versions and remove the same
// services. Only generations, records and the services that they keep may differ.
func (p *Plan) Equivalent(q *Plan) bool {
	same := func(a, b Step) bool {
		v, w := a.Service.Current, b.Service.Current
		return a.Service.Key == b.Service.Key && a.Before.Generation == b.Before.Generation && v.Origin == w.Origin && v.SameContent(w) &&
			slices.Equal(a.Fresh, b.Fresh) && slices.Equal(a.Service.Live(), b.Service.Live())
	}
	return slices.EqualFunc(p.Prepare, q.Prepare, same) && slices.Equal(p.Remove, q.Remove)
}
