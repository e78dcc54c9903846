package main

import (
	"context"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flexilib"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/project"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/server"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// Exit codes; see the package comment.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const description = `A webserver for microservices compiled to WebAssembly.

"vespo serve" runs a server; "vespo serve --demo" adds services to try. "vespo new", "build" and
"dev" help to write services. The other commands talk to a running server.`

// cli is the command line, as parsed by kong.
type cli struct {
	New      project.NewCmd     `cmd:"" help:"Create a project."`
	Build    project.BuildCmd   `cmd:"" help:"Compile a project to a module."`
	Dev      project.DevCmd     `cmd:"" help:"Serve a project, and rebuild it when its sources change."`
	Serve    server.ServeCmd    `cmd:"" help:"Run the server."`
	Check    server.CheckCmd    `cmd:"" help:"Check a configuration file."`
	Import   flexilib.ImportCmd `cmd:"" help:"Turn the proxy.ini of FlexiLib into a configuration file."`
	Add      remote.AddCmd      `cmd:"" help:"Add a service, or replace the one at the prefix."`
	List     remote.ListCmd     `cmd:"" help:"List all services."`
	Inspect  remote.InspectCmd  `cmd:"" help:"Show a service and its earlier versions."`
	Remove   remote.RemoveCmd   `cmd:"" help:"Remove a service and its earlier versions."`
	Rollback remote.RollbackCmd `cmd:"" help:"Go back to an earlier version of a service."`
	Version  versionCmd         `cmd:"" help:"Show the version of this program."`
}

// vars returns the variables that the struct tags of the commands refer to.
func vars() kong.Vars {
	return server.Vars().CloneWith(remote.Vars()).CloneWith(project.Vars())
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, s stdio.Streams) int {
	helped := false
	parser, err := kong.New(&cli{Add: remote.NewAddCmd(server.Kinds()), Dev: project.NewDevCmd()},
		kong.Name("vespo"),
		kong.Description(description),
		vars(),
		kong.Writers(s.Out, s.Err),
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
		fmt.Fprintf(s.Err, "vespo: %s\nrun \"vespo --help\" or \"vespo COMMAND --help\" for the usage\n", err)
		return exitUsage
	}
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(s)
	command.Bind(command)
	if err := command.Run(); err != nil && !stdio.IsReported(err) {
		return report(s, err)
	} else if err != nil {
		return exitFailed
	}
	return exitOK
}

// report prints the error of a failed command and returns the exit code.
func report(s stdio.Streams, err error) int {
	s.Report(err)
	return exitFailed
}
