package remote

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// RollbackCmd returns a service to an earlier version.
type RollbackCmd struct {
	Prefix     string `arg:"" help:"Path prefix of the service."`
	To         *int64 `placeholder:"N" help:"The version to go back to, by its number as \"vespo versions\" shows it; the one before the current if not given."`
	Generation *int64 `short:"g" placeholder:"N" help:"The same by its generation."`

	matchFlag
	clientFlags
}

// Validate is called by kong.
func (c *RollbackCmd) Validate() error {
	switch {
	case c.To != nil && c.Generation != nil:
		return errors.New("--to and --generation are both given: give one of them")
	case c.To != nil && *c.To < 1:
		return fmt.Errorf("--to is %d: it must be at least 1, one of the numbers that \"vespo versions\" shows", *c.To)
	case c.Generation != nil && *c.Generation < 1:
		return fmt.Errorf("--generation is %d: it must be at least 1, one of those that \"vespo inspect\" shows", *c.Generation)
	}
	return c.clientFlags.Validate()
}

// Run is called by kong.
func (c *RollbackCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client(boundTo(c.Prefix, c.Match))
	if err != nil {
		return err
	}
	query := c.query(c.Prefix)
	if c.Generation != nil {
		query.Set("generation", strconv.FormatInt(*c.Generation, 10))
	}
	if c.To != nil {
		query.Set("version", strconv.FormatInt(*c.To, 10))
	}
	a, err := client.Post(ctx, "/services/rollback", query)
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, func(to *screen, deployed *Service) error {
		return writeDeployed(to, "rolled back", client.base, deployed)
	})
}
