package program

import (
	"errors"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// negative matches a value such as -1 or -1.5s. No flag is a digit.
var negative = regexp.MustCompile(`^-[0-9]`)

// withNegativeValues joins negative values with the flags before them, as in --slots=-1. Kong takes such a value for a
// flag; joined, it is refused by the check of the flag's range, which says what is allowed.
func withNegativeValues(app *kong.Application, args []string) (joined []string) {
	for i, arg := range args {
		if arg == "--" {
			return append(joined, args[i:]...)
		}
		if last := len(joined) - 1; i > 0 && negative.MatchString(arg) && takesValue(app.Node, args[i-1]) {
			if !strings.HasPrefix(args[i-1], "--") {
				joined[last] += arg // a short flag is followed by its value
			} else {
				joined[last] += "=" + arg
			}
			continue
		}
		joined = append(joined, arg)
	}
	return joined
}

// takesValue reports whether a word is a flag of any command that takes a value.
func takesValue(node *kong.Node, word string) bool {
	for _, flag := range node.Flags {
		if !flag.IsBool() && (word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short)) {
			return true
		}
	}
	for _, child := range node.Children {
		if takesValue(child, word) {
			return true
		}
	}
	return false
}

// withoutAliases returns an error of the parser with the name of its command alone, not with all names.
func withoutAliases(app *kong.Application, err error) error {
	for _, command := range app.Children {
		if text, ok := strings.CutPrefix(err.Error(), command.Path()+": "); ok && len(command.Aliases) > 0 {
			return errors.New(command.Name + ": " + text)
		}
	}
	return err
}

// missing returns an error about arguments that are not given with their names, and others as they are.
func missing(err error) error {
	names, ok := strings.CutPrefix(err.Error(), `expected "<`)
	if !ok {
		names, ok = strings.CutPrefix(err.Error(), "missing positional arguments <")
	}
	if !ok {
		return err
	}
	return errors.New(missingPrefix + "<" + strings.TrimSuffix(names, `"`))
}

const missingPrefix = "missing: "

// aboutArguments reports whether an error is about the number of arguments.
func aboutArguments(err error) bool {
	return strings.HasPrefix(err.Error(), missingPrefix) || strings.HasPrefix(err.Error(), "unexpected argument ")
}

// selected returns the command that an error of the parser is about, or nil.
func selected(err error) *kong.Node {
	var failed *kong.ParseError
	if !errors.As(err, &failed) || failed.Context == nil {
		return nil
	}
	return failed.Context.Selected()
}

// nameOf returns a command as the user writes it, such as "vespo kv put".
func nameOf(command *kong.Node) string {
	if command.Parent == nil {
		return command.Name
	}
	return nameOf(command.Parent) + " " + command.Name
}
