package program

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/spelling"
)

// elsewhere has the names that other tools have for commands of this program.
func elsewhere() map[string]string {
	return map[string]string{
		"apply":    "deploy",
		"create":   "new",
		"delete":   "remove",
		"describe": "inspect",
		"generate": "new",
		"info":     "inspect",
		"init":     "new",
		"login":    "token",
		"ps":       "list",
		"publish":  "deploy",
		"purge":    "cache purge",
		"run":      "serve",
		"show":     "inspect",
		"start":    "serve",
		"status":   "list",
		"tail":     "logs",
		"undeploy": "remove",
		"undo":     "rollback",
		"up":       "serve",
		"validate": "check",
		"watch":    "dev",
	}
}

// meant returns an error about an unknown command with the one that is meant, and other errors as they are.
func meant(app *kong.Application, args []string, err error) error {
	given := args[0]
	if strings.HasPrefix(given, "-") || !strings.HasPrefix(err.Error(), "unexpected argument "+given) {
		return err
	}
	var names []string
	for _, command := range app.Children {
		names = append(append(names, command.Name), command.Aliases...)
	}
	if slices.Contains(names, given) {
		return err
	}
	name := elsewhere()[given]
	if name == "" {
		name = spelling.Near(given, names)
	}
	if name == "" {
		return fmt.Errorf("unknown command %s", stdio.Printable(given))
	}
	return fmt.Errorf("unknown command %s, did you mean %q?", stdio.Printable(given), name)
}

// prefix begins the names of the variables of this program.
const prefix = "VESPO_"

// warnOfVariables names variables of the environment that are almost those of a flag. Others may be the user's own.
func warnOfVariables(to io.Writer, app *kong.Application, environ []string) {
	known := variables(app.Node)
	slices.Sort(known)
	known = slices.Compact(known)
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		rest, own := strings.CutPrefix(name, prefix)
		if !own || slices.Contains(known, rest) {
			continue
		}
		near := spelling.Near(rest, known)
		if near == "" || strings.HasPrefix(rest, near) || strings.HasPrefix(near, rest) { // VESPO_TOKEN_OF_CI is another one
			continue
		}
		fmt.Fprintf(to, "vespo: warning: the variable %s is unknown, did you mean %s%s?\n", stdio.Printable(name), prefix, near)
	}
}

// variables returns the names of the variables of a command and those below, without the prefix.
func variables(node *kong.Node) (names []string) {
	for _, flag := range node.Flags {
		for _, name := range flag.Envs {
			if rest, own := strings.CutPrefix(name, prefix); own {
				names = append(names, rest, rest+"_PASSWORD")
			}
		}
	}
	for _, child := range node.Children {
		names = append(names, variables(child)...)
	}
	return names
}
