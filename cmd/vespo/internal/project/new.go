package project

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// Vars returns the variables that the struct tags of the commands refer to.
func Vars() kong.Vars { return kong.Vars{"templates": strings.Join(Templates(), ",")} }

// NewCmd creates a project.
type NewCmd struct {
	Dir      string `arg:"" help:"Directory to create, or an empty one such as \".\". Its name is the name of the project."`
	Template string `short:"t" enum:"${templates}" placeholder:"NAME" default:"go" help:"Template to begin with: ${enum} (${default})."`
}

// Run is called by kong.
func (c *NewCmd) Run(s stdio.Streams) error {
	if _, err := Create(c.Dir, c.Template); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "created %s from the template %s. Next:\n", c.Dir, c.Template)
	if c.Dir != "." {
		fmt.Fprintf(s.Out, "  cd %s\n", c.Dir)
	}
	_, err := fmt.Fprintln(s.Out, "  vespo dev")
	return err
}
