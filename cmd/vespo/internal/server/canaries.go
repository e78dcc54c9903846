package server

import (
	"context"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// canariesPart returns the part that ends canaries. A host that follows another one ends none.
func (c *core) canariesPart() parts.Part {
	return parts.Part{
		Name: "the canaries",
		Run: func(ctx context.Context) error {
			if c.copied == nil {
				c.canaries.Run(ctx, c.deployer)
			}
			return nil
		},
	}
}

// mirrorsPart returns the part that sends copies of requests to mirrors.
func (c *core) mirrorsPart() parts.Part {
	return parts.Part{Name: "the mirrors", Run: func(ctx context.Context) error { c.mirrors.Run(ctx); return nil }}
}

// mirrorEvents returns the callbacks by which the counts of ended mirrors are forgotten.
func (c *core) mirrorEvents() deploy.Events {
	return deploy.Events{
		Deployed: func(r deploy.Result) { c.mirrors.Forget(r.Service.Key, r.Service.Mirror.Number) },
		Removed:  func(key routekey.Key) { c.mirrors.Forget(key, 0) },
	}
}
