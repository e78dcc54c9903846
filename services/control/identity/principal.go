package identity

import (
	"context"
	"time"
)

// Kind is how a principal was recognised.
type Kind string

// The kinds of principals.
const (
	KindLocal      Kind = "local"       // a program on this machine, without a token
	KindAdminToken Kind = "admin-token" // the token of --admin-token
	KindToken      Kind = "token"       // a token that "vespo token create" has made
	KindFile       Kind = "file"        // the configuration file
	KindLambda     Kind = "lambda"      // a client of the Lambda API
	KindServer     Kind = "server"      // the server itself
)

// Principal is the sender of a request. It is immutable.
type Principal struct {
	Kind    Kind
	Name    string    // of a token
	ID      string    // of a token: tells tokens apart that have had the same name
	Scopes  Scopes    // nil: no rights
	Expires time.Time // of a token; zero: never

	// Ended ends when the principal loses its rights, with the reason as its cause. Nil: never.
	Ended context.Context
}

// Local returns the principal of programs on this machine.
func Local() *Principal { return &Principal{Kind: KindLocal, Scopes: Scopes{Admin()}} }

// AdminToken returns the principal of --admin-token.
func AdminToken() *Principal { return &Principal{Kind: KindAdminToken, Scopes: Scopes{Admin()}} }

// File returns the principal of the configuration file.
func File() *Principal { return &Principal{Kind: KindFile, Scopes: Scopes{Admin()}} }

// Lambda returns the principal of a client of the Lambda API, which has rights of its own there. key is the id of its
// access key.
func Lambda(key string) *Principal { return &Principal{Kind: KindLambda, Name: key} }

// String returns a text for people: the kind, and the name of a token.
func (p *Principal) String() string {
	if p.Name == "" {
		return string(p.Kind)
	}
	return string(p.Kind) + " " + p.Name
}

type key struct{}

// With returns a context for a request of the principal. It ends when the principal loses its rights. The caller must
// call stop at the end of the request.
func With(ctx context.Context, p *Principal) (_ context.Context, stop func()) {
	ctx = context.WithValue(ctx, key{}, p)
	if p.Ended == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(p.Ended, func() { cancel(context.Cause(p.Ended)) })
	return ctx, func() { unhook(); cancel(nil) }
}

// Of returns the principal of a request. Without one, it returns a principal that has no rights.
func Of(ctx context.Context) *Principal {
	if p, ok := ctx.Value(key{}).(*Principal); ok {
		return p
	}
	return &Principal{}
}
