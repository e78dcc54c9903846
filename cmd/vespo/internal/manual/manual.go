// Package manual writes the manual page of the program, from kong's model of its command line.
package manual

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// ManCmd prints the manual page of this program.
type ManCmd struct{}

// Help is called by kong.
func (c *ManCmd) Help() string {
	return `To read it, or to install it:

  vespo man | man -l -
  vespo man > /usr/local/share/man/man1/vespo.1`
}

// Run is called by kong.
func (c *ManCmd) Run(s stdio.Streams, command *kong.Context) error {
	return Write(s.Out, command.Model)
}

// Write writes one page in roff, with the macros of man(7), that describes all commands.
func Write(w io.Writer, app *kong.Application) error {
	p := &page{}
	p.line(`.TH VESPO 1 "" "vespo" "vespo manual"`)
	p.section("NAME")
	p.text("vespo - a webserver for microservices compiled to WebAssembly")
	p.section("SYNOPSIS")
	p.line(".B vespo")
	p.text("<command> [flags]")
	p.section("DESCRIPTION")
	p.paragraphs(app.Help)
	p.section("COMMANDS")
	for _, command := range app.Children {
		if !command.Hidden {
			p.command(command)
		}
	}
	p.section("EXIT STATUS")
	p.item("0", "Done. For serve: stopped by a signal after every request had ended.")
	p.item("1", "Failed. For serve also: requests had to be cut off at the end of the drain.")
	p.item("2", "Wrong usage: an unknown command or flag, or an invalid value.")
	_, err := io.WriteString(w, p.b.String())
	return err
}

// page is a page that is written.
type page struct{ b strings.Builder }

// line writes a request, or text that is escaped.
func (p *page) line(text string) { p.b.WriteString(text + "\n") }

func (p *page) section(title string) { p.line(".SH " + title) }

// text writes lines of text.
func (p *page) text(text string) {
	for line := range strings.Lines(text) {
		p.line(escape(strings.TrimSuffix(line, "\n")))
	}
}

// item writes a term and its description.
func (p *page) item(term, description string) {
	p.line(".TP")
	p.line(`\fB` + escape(term) + `\fR`)
	p.text(strings.ReplaceAll(description, "\n", " "))
}

// paragraphs writes text whose paragraphs are separated by empty lines. Indented ones stay as they are.
func (p *page) paragraphs(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			p.line(".PP")
		}
		if !strings.HasPrefix(paragraph, "  ") {
			p.text(paragraph)
			continue
		}
		p.line(".nf")
		p.text(paragraph)
		p.line(".fi")
	}
}

// command describes one command, and those below it.
func (p *page) command(command *kong.Node) {
	p.line(".SS " + escape(strings.TrimPrefix(command.FullPath(), "vespo ")))
	p.line(".B " + quoted("vespo "+command.Summary()))
	p.line(".PP")
	p.text(command.Help)
	if command.Detail != "" {
		p.line(".PP")
		p.paragraphs(command.Detail)
	}
	for _, argument := range command.Positional {
		p.item(argument.Summary(), kong.DefaultHelpValueFormatter(argument))
	}
	title := ""
	for _, flag := range byGroup(command.Flags) {
		if group := titleOf(flag); group != title {
			title = group
			p.line(".PP")
			p.text(title)
		}
		p.item(spelling(flag), kong.DefaultHelpValueFormatter(flag.Value))
	}
	for _, child := range command.Children {
		p.command(child)
	}
}

// byGroup returns the visible flags, with those of a group beside each other, and those without a group first.
func byGroup(flags []*kong.Flag) []*kong.Flag {
	titles := []string{""}
	members := map[string][]*kong.Flag{}
	for _, flag := range flags {
		title := titleOf(flag)
		if flag.Hidden {
			continue
		}
		if _, known := members[title]; !known && title != "" {
			titles = append(titles, title)
		}
		members[title] = append(members[title], flag)
	}
	var sorted []*kong.Flag
	for _, title := range titles {
		sorted = append(sorted, members[title]...)
	}
	return sorted
}

func titleOf(flag *kong.Flag) string {
	if flag.Group == nil {
		return ""
	}
	return flag.Group.Title
}

// spelling returns a flag as it is typed, with its value.
func spelling(flag *kong.Flag) string {
	text := "--" + flag.Name
	if flag.Tag.Negatable != "" {
		text = "--[no-]" + flag.Name
	}
	if flag.Short != 0 {
		text = "-" + string(flag.Short) + ", " + text
	}
	if !flag.IsBool() {
		text += "=" + flag.FormatPlaceHolder()
	}
	return text
}

// escape returns text that roff prints as it is.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// quoted returns an argument of a request.
func quoted(text string) string {
	return fmt.Sprintf(`"%s"`, strings.ReplaceAll(escape(text), `"`, `\(dq`))
}
