package main

import (
	"fmt"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/project"
)

// newCmd creates a project.
type newCmd struct {
	Name     string `arg:"" help:"Name of the project, and of the directory that is made."`
	Template string `short:"t" enum:"${templates}" placeholder:"NAME" default:"go" help:"What to begin with: ${enum} (${default})."`
}

// Validate is called by kong.
func (c *newCmd) Validate() error { return project.CheckName(c.Name) }

// Run is called by kong.
func (c *newCmd) Run(s streams) error {
	dir, err := project.Create(".", c.Name, c.Template)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "made %s from the template %s; go on with:\n  cd %s\n  vespo dev\n", dir, c.Template, dir)
	return err
}
