package main

import (
	"fmt"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/project"
)

// newCmd creates a project.
type newCmd struct {
	Dir      string `arg:"" help:"Directory to create, or an empty one such as \".\". Its name is the name of the project."`
	Template string `short:"t" enum:"${templates}" placeholder:"NAME" default:"go" help:"Template to begin with: ${enum} (${default})."`
}

// Run is called by kong.
func (c *newCmd) Run(s streams) error {
	if _, err := project.Create(c.Dir, c.Template); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "created %s from the template %s. Next:\n", c.Dir, c.Template)
	if c.Dir != "." {
		fmt.Fprintf(s.out, "  cd %s\n", c.Dir)
	}
	_, err := fmt.Fprintln(s.out, "  vespo dev")
	return err
}
