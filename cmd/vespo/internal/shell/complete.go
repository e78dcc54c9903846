package shell

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Command is the first argument with which the scripts call the program. The words of the line follow, without the
// program: the last one is that at the cursor, which may be empty.
const Command = "internal-complete"

// files is printed in place of candidates where a file or a directory is expected.
const files = ":files"

// candidate is one way to complete a word.
type candidate struct{ word, help string }

// Complete prints the candidates for the last word, one a line, each with a tab and a short help if there is one.
func Complete(w io.Writer, app *kong.Application, words []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	found, path := candidates(app, joined(words))
	if path {
		fmt.Fprintln(w, files)
	}
	for _, c := range found {
		fmt.Fprintln(w, strings.TrimRight(c.word+"\t"+c.help, "\t"))
	}
}

// joined undoes what bash does to words with an equals sign, which it splits in three.
func joined(words []string) (out []string) {
	for i, word := range words {
		if word == "=" && i > 0 {
			if i == len(words)-1 {
				out = append(out, "") // the value begins at the cursor
			}
			continue
		}
		out = append(out, word)
	}
	return out
}

// line is a command line up to the word at the cursor.
type line struct {
	node        *kong.Node // the command
	topic       *kong.Node // the command that help is asked for
	positionals int        // arguments that were given
	pending     *kong.Flag // the flag whose value is next; nil: none
	plain       bool       // after --, all words are arguments
}

// candidates returns the candidates for the last word. path is true where a file or a directory is expected.
func candidates(app *kong.Application, words []string) (found []candidate, path bool) {
	l := line{node: app.Node, topic: app.Node}
	last := len(words) - 1
	for _, word := range words[:last] {
		l.read(word)
	}
	word := words[last]
	name, value, given := strings.Cut(word, "=")
	switch {
	case l.pending != nil:
		return matching(l.pending.Value, "", word)
	case !l.plain && given && l.flag(name) != nil:
		return matching(l.flag(name).Value, name+"=", value)
	case !l.plain && strings.HasPrefix(word, "-"):
		return l.flags(word), false
	case len(l.node.Children) > 0:
		return commands(l.node, word), false
	case isHelp(l.node):
		return commands(l.topic, word), false
	case l.positionals < len(l.node.Positional):
		return matching(l.node.Positional[l.positionals], "", word)
	}
	return nil, false
}

// read reads a word before the cursor.
func (l *line) read(word string) {
	switch flag := l.flag(word); {
	case l.pending != nil:
		l.pending = nil
	case l.plain:
		l.positionals++
	case word == "--":
		l.plain = true
	case flag != nil && !flag.IsBool():
		l.pending = flag
	case strings.HasPrefix(word, "-") && word != "-":
	case len(l.node.Children) > 0:
		l.node = child(l.node, word)
	case isHelp(l.node):
		l.topic = child(l.topic, word)
	default:
		l.positionals++
	}
}

// child returns the command of this name or alias below a node, or the node.
func child(node *kong.Node, word string) *kong.Node {
	for _, one := range node.Children {
		if one.Name == word || slices.Contains(one.Aliases, word) {
			return one
		}
	}
	return node
}

// flag returns the flag of the command with this spelling, or nil.
func (l *line) flag(word string) *kong.Flag {
	for _, group := range l.node.AllFlags(false) {
		for _, flag := range group {
			if word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short) {
				return flag
			}
		}
	}
	return nil
}

// flags returns the flags of the command that begin with word.
func (l *line) flags(word string) (found []candidate) {
	for _, group := range l.node.AllFlags(true) {
		for _, flag := range group {
			spellings := []string{"--" + flag.Name}
			if flag.Tag.Negatable != "" {
				spellings = append(spellings, "--no-"+flag.Name)
			}
			for _, spelling := range spellings {
				if strings.HasPrefix(spelling, word) {
					found = append(found, candidate{spelling, short(flag.Help)})
				}
			}
		}
	}
	return found
}

// isHelp reports whether the argument of a command is the name of another one.
func isHelp(node *kong.Node) bool { return node.Name == "help" }

// commands returns the commands that begin with word. Other names of a command are candidates only if there is no
// command: otherwise they would stand beside it.
func commands(node *kong.Node, word string) (found []candidate) {
	var others []candidate
	for _, child := range node.Children {
		switch {
		case child.Hidden:
			continue
		case strings.HasPrefix(child.Name, word):
			found = append(found, candidate{child.Name, short(child.Help)})
		}
		for _, alias := range child.Aliases {
			if strings.HasPrefix(alias, word) {
				others = append(others, candidate{alias, short(child.Help)})
			}
		}
	}
	if len(found) == 0 {
		return others
	}
	return found
}

// matching returns the values of a flag or an argument that begin with word. before is what precedes them in the word.
func matching(value *kong.Value, before, word string) (found []candidate, path bool) {
	choices := placeholders(value)
	if value.Enum != "" {
		choices = value.EnumSlice()
	}
	for _, choice := range choices {
		if strings.HasPrefix(choice, word) {
			found = append(found, candidate{word: before + choice})
		}
	}
	return found, len(choices) == 0 && takesPath(value)
}

// placeholders returns the values of a flag whose placeholder lists them, as in "snapshot|fresh".
func placeholders(value *kong.Value) []string {
	if value.Flag == nil || !strings.Contains(value.Flag.PlaceHolder, "|") || strings.ToLower(value.Flag.PlaceHolder) != value.Flag.PlaceHolder {
		return nil
	}
	return strings.Split(value.Flag.PlaceHolder, "|")
}

// takesPath reports whether a value is a file or a directory, by the name that the help gives it.
func takesPath(value *kong.Value) bool {
	name := value.Name
	if value.Flag != nil {
		name = value.Flag.PlaceHolder
	}
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"file", "dir", "program", "path"}, func(word string) bool { return strings.Contains(name, word) })
}

// short returns the first sentence of a help text.
func short(help string) string {
	text, _, _ := strings.Cut(strings.ReplaceAll(help, "\n", " "), ". ")
	return strings.TrimSuffix(text, ".")
}
