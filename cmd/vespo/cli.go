package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/project"
)

// Exit codes; see the package comment.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Default listening address of a server.
const (
	defaultHost = "127.0.0.1"
	defaultPort = "8080"
)

const description = `A webserver for microservices compiled to WebAssembly.

"vespo serve" runs a server; "vespo serve --demo" adds services to try. "vespo new", "build" and
"dev" help to write services. The other commands talk to a running server.`

// cli is the command line, as parsed by kong.
type cli struct {
	New      newCmd      `cmd:"" help:"Create a project."`
	Build    buildCmd    `cmd:"" help:"Compile a project to a module."`
	Dev      devCmd      `cmd:"" help:"Serve a project, and rebuild it when its sources change."`
	Serve    serveCmd    `cmd:"" help:"Run the server."`
	Check    checkCmd    `cmd:"" help:"Check a configuration file."`
	Import   importCmd   `cmd:"" help:"Turn the proxy.ini of FlexiLib into a configuration file."`
	Add      addCmd      `cmd:"" help:"Add a service, or replace the one at the prefix."`
	List     listCmd     `cmd:"" help:"List all services."`
	Inspect  inspectCmd  `cmd:"" help:"Show a service and its earlier versions."`
	Remove   removeCmd   `cmd:"" help:"Remove a service and its earlier versions."`
	Rollback rollbackCmd `cmd:"" help:"Go back to an earlier version of a service."`
	Version  versionCmd  `cmd:"" help:"Show the version of this program."`
}

// vars returns the variables that the struct tags of the commands refer to.
func vars() kong.Vars {
	return kong.Vars{
		"server": defaultServer, "templates": strings.Join(project.Templates(), ","),
		"listen": net.JoinHostPort(defaultHost, cmp.Or(os.Getenv("PORT"), defaultPort)), "access_log": "off",
	}
}

// streams are the input and outputs of a command.
type streams struct {
	in  io.Reader
	out io.Writer // the result of the command
	err io.Writer // errors, logs and progress
}

// interactive reports whether standard error is a terminal.
func (s streams) interactive() bool {
	f, ok := s.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	helped := false
	parser, err := kong.New(&cli{},
		kong.Name("vespo"),
		kong.Description(description),
		vars(),
		kong.Writers(s.out, s.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(int) { helped = true }), // called after --help has printed the usage
	)
	if err != nil {
		return report(s, err)
	}
	command, err := parser.Parse(args)
	switch {
	case helped:
		return exitOK
	case err != nil:
		fmt.Fprintf(s.err, "vespo: %s\nrun \"vespo --help\" or \"vespo COMMAND --help\" for the usage\n", err)
		return exitUsage
	}
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(s)
	command.Bind(command)
	if err := command.Run(); err != nil && !isReported(err) {
		return report(s, err)
	} else if err != nil {
		return exitFailed
	}
	return exitOK
}

// report prints the error of a failed command and returns the exit code.
func report(s streams, err error) int {
	fmt.Fprintf(s.err, "vespo: %s\n", strings.TrimRight(err.Error(), "\n"))
	return exitFailed
}
