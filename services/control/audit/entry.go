package audit

import (
	"cmp"
	"context"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/identity"
)

// Result is what became of a change.
type Result string

// The results.
const (
	ResultBegun   Result = "begun"   // the first entry of a change
	ResultOK      Result = "ok"      // it is made
	ResultFailed  Result = "failed"  // it is not made, or its outcome is not known: see Detail
	ResultRefused Result = "refused" // the caller may not make it, or the request is invalid
)

// Entry is one line of the log.
type Entry struct {
	N       uint64    `json:"n"` // counts the entries, from 1
	Time    time.Time `json:"time"`
	Request string    `json:"request_id,omitempty"`
	Result  Result    `json:"result"`
	By      By        `json:"by"`
	From    string    `json:"from,omitempty"` // address of the client
	Action  string    `json:"action"`
	Subject string    `json:"subject,omitempty"` // the service, store or token
	Before  *State    `json:"before,omitempty"`  // of a service; nil: there was none
	After   *State    `json:"after,omitempty"`
	Changes []string  `json:"changes,omitempty"` // of fields, without secret values
	Detail  string    `json:"detail,omitempty"`
	Omitted uint64    `json:"omitted,omitempty"` // refusals before this entry that were too many to be kept
}

// By identifies the principal.
type By struct {
	Kind identity.Kind `json:"kind"`
	Name string        `json:"name,omitempty"`
	ID   string        `json:"id,omitempty"`
}

// State identifies a version of a service.
type State struct {
	Kind       string              `json:"kind"`
	Digest     registry.Digest     `json:"digest"`
	Generation registry.Generation `json:"generation"`
}

// StateOf returns the state of a service, nil for the zero Service.
func StateOf(s registry.Service) *State {
	if s.Key.IsZero() {
		return nil
	}
	return &State{Kind: s.Current.Kind, Digest: s.Current.ContentDigest(), Generation: s.Current.Generation}
}

// Source is the request that asks for a change.
type Source struct {
	Request string
	From    string
	Action  string
}

type sourceKey struct{}

// WithSource returns a context for the changes of a request.
func WithSource(ctx context.Context, s Source) context.Context {
	return context.WithValue(ctx, sourceKey{}, s)
}

// EntryFor returns an entry with the source and the principal of a context.
func EntryFor(ctx context.Context) Entry {
	s, _ := ctx.Value(sourceKey{}).(Source)
	p := identity.Of(ctx)
	by := By{Kind: cmp.Or(p.Kind, identity.KindServer), Name: p.Name, ID: p.ID}
	return Entry{Request: s.Request, From: s.From, Action: s.Action, By: by}
}
