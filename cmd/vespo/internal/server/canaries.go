package server

import (
	"context"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
)

// canariesPart returns the part that ends canaries.
func (c *core) canariesPart() parts.Part {
	return parts.Part{Name: "the canaries", Run: func(ctx context.Context) error { c.canaries.Run(ctx, c.deployer); return nil }}
}
