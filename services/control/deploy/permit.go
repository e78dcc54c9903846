package deploy

import (
	"context"
	"reflect"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// Permit decides whether a change of one service may be made. before and after are the service in the catalogue before the
// change and after it, the zero Service if it does not exist. An error refuses the whole change, and is its error.
type Permit func(key routekey.Key, before, after registry.Service) error

type permitKey struct{}

// WithPermit returns a context for changes that permit has to allow. It is asked when the change is planned, while the
// services are claimed: what it has seen is what the change replaces. It may be asked more than once.
//
// The rights of a caller concern changes of every form, and come from outside of this package: so they travel with the
// context, as its deadline does.
func WithPermit(ctx context.Context, permit Permit) context.Context {
	return context.WithValue(ctx, permitKey{}, permit)
}

// permitted asks the Permit of ctx about the services that t plans to change.
func permitted(ctx context.Context, t *transaction) error {
	permit, ok := ctx.Value(permitKey{}).(Permit)
	if !ok {
		return nil
	}
	for _, key := range t.plan.Touched {
		if err := permit(key, t.plan.Base.Services[key], t.plan.Next.Services[key]); err != nil {
			return err
		}
	}
	return nil
}

// ServiceChange is a change of one service, as it is planned. The zero Service stands for none.
type ServiceChange struct {
	Key           routekey.Key
	Before, After registry.Service
}

// Auditor keeps a record of changes.
type Auditor interface {
	// Begin is called before a change is prepared. An error refuses the change, and is its error. Otherwise end is called
	// with the outcome, before the change is acknowledged.
	Begin(ctx context.Context, changes []ServiceChange) (end func(error), err error)
}

// audit records that the plan of t is about to be carried out, unless it changes nothing.
func (d *Deployer) audit(ctx context.Context, t *transaction) (end func(error), err error) {
	var all []ServiceChange
	for _, key := range t.plan.Touched {
		change := ServiceChange{Key: key, Before: t.plan.Base.Services[key], After: t.plan.Next.Services[key]}
		if !reflect.DeepEqual(change.Before, change.After) {
			all = append(all, change)
		}
	}
	if d.cfg.Audit == nil || len(all) == 0 {
		return func(error) {}, nil
	}
	return d.cfg.Audit.Begin(ctx, all)
}
