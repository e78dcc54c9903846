package program

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// helpCmd shows the usage of a command, like the flag --help of that command.
type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The command, such as add or kv put; without one, list all."`
}

// Run is called by kong. Its error is a *usageError if there is no such command.
func (c *helpCmd) Run(command *kong.Context) error {
	usage, err := kong.Trace(command.Kong, strings.Fields(strings.Join(c.Command, " ")))
	if err == nil {
		err = usage.Error
	}
	if err == nil && slices.ContainsFunc(usage.Path, func(p *kong.Path) bool { return p.Positional != nil }) {
		err = fmt.Errorf("unexpected argument %s", c.Command[len(c.Command)-1])
	}
	if err != nil {
		if len(c.Command) > 0 {
			err = meant(command.Model, c.Command, err)
		}
		return &usageError{err}
	}
	return usage.PrintUsage(false)
}

// usageError is an error of the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }
