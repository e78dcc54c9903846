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
