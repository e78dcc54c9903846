package events

import (
	"context"
	"fmt"
	"time"
)

// Refuse returns a store that cannot be used, for a server that goes on without its events.
func Refuse(cause error) Store { return refused{fmt.Errorf("%w: %w", ErrUnavailable, cause)} }

type refused struct{ err error }

func (r refused) Put(context.Context, Event) error { return r.err }

func (r refused) Take(context.Context, int, time.Duration, ...string) ([]Taken, time.Duration, error) {
	return nil, time.Hour, nil
}

func (r refused) Renew(context.Context, string, time.Duration) error { return ErrEnded }

func (r refused) Retry(context.Context, string, time.Duration, Progress) error { return ErrEnded }

func (r refused) Done(context.Context, string) error { return ErrEnded }

func (r refused) Due() <-chan struct{} { return nil }

func (r refused) Stats() Stats { return Stats{Away: true} }
