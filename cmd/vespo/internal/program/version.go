package program

import (
	"fmt"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/version"
)

// versionCmd shows the version, commit, Go version and platform of this program.
type versionCmd struct{}

// Run is called by kong.
func (c *versionCmd) Run(s stdio.Streams) error {
	_, err := fmt.Fprintln(s.Out, version.Read())
	return err
}
