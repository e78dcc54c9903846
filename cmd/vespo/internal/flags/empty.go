package flags

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Empty returns an error for each flag of the command line that has an empty value, as from a variable that is not set.
// Kong takes an empty path for the current directory, and an empty list for none.
func Empty(ctx *kong.Context) error {
	var empty []error
	for _, p := range ctx.Path {
		if p.Flag == nil || p.Flag.IsBool() {
			continue
		}
		for _, name := range append([]string{p.Flag.Name}, p.Flag.Aliases...) {
			if givenEmpty(ctx.Args, "--"+name) {
				empty = append(empty, fmt.Errorf("--%s is empty: give a value, or leave the flag out", name))
			}
		}
	}
	return errors.Join(empty...)
}

// givenEmpty reports whether args have the flag with an empty value.
func givenEmpty(args []string, flag string) bool {
	for i, arg := range args {
		value, joined := strings.CutPrefix(arg, flag+"=")
		switch {
		case joined && value == "":
			return true
		case arg == flag && slices.Equal(args[i+1:min(i+2, len(args))], []string{""}):
			return true
		}
	}
	return false
}
