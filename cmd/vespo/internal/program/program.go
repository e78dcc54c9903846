// Package program is the command line of vespo. Commands of its own modules are the same program with more.
package program

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/manual"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/project"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/server"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/shell"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/version"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/wrangler"
	"github.com/vespo-dev/vespo/runtime/compiler"
)

// Exit codes; see the comment of the command.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// Main runs the program with the arguments of the process, and returns its exit code. open opens the engines of
// the program.
func Main(open server.Openers) (code int) {
	if len(os.Args) == 2 && os.Args[1] == server.CompileCommand {
		return compiler.Serve(os.Stdin, os.Stdout, os.Stderr)
	}
	if code, done := superviseServer(os.Args[1:]); done {
		return code
	}
	return runWith(context.Background(), open, os.Args[1:], stdio.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
}

const description = `A webserver for microservices compiled to WebAssembly.

"vespo serve" runs a server; "vespo serve --demo" adds services to try. "vespo new", "build" and
"dev" help to write services. The other commands talk to a running server.`

// cli is the command line, as parsed by kong.
type cli struct {
	ShowVersion kong.VersionFlag `name:"version" hidden:"" help:"Show the version of this program."`

	New      project.NewCmd     `cmd:"" group:"Write a service:" help:"Create a project."`
	Build    project.BuildCmd   `cmd:"" group:"Write a service:" help:"Compile a project to a module or a component."`
	Dev      project.DevCmd     `cmd:"" group:"Write a service:" help:"Serve a project, and rebuild it when its sources change."`
	Serve    server.ServeCmd    `cmd:"" group:"Run a server:" help:"Run the server."`
	Check    server.CheckCmd    `cmd:"" group:"Run a server:" help:"Check a configuration file."`
	Migrate  server.MigrateCmd  `cmd:"" group:"Run a server:" help:"Move the services of a data directory to a store of several hosts, or back."`
	Import   wrangler.ImportCmd `cmd:"" group:"Run a server:" help:"Turn the configuration of a Cloudflare Worker or of FlexiLib into one of Vespo."`
	Add      remote.AddCmd      `cmd:"" group:"Work with a running server:" aliases:"deploy" help:"Add a service, or replace the one at the prefix."`
	Push     remote.PushCmd     `cmd:"" group:"Write a service:" help:"Upload a module to a registry."`
	List     remote.ListCmd     `cmd:"" group:"Work with a running server:" aliases:"ls" help:"List all services."`
	Inspect  remote.InspectCmd  `cmd:"" group:"Work with a running server:" help:"Show a service and its earlier versions."`
	Stats    remote.StatsCmd    `cmd:"" group:"Work with a running server:" help:"Show the requests, errors, latencies and memory of services."`
	Logs     remote.LogsCmd     `cmd:"" group:"Work with a running server:" help:"Show the logs of services: their output, requests and events."`
	Top      remote.TopCmd      `cmd:"" group:"Work with a running server:" help:"Watch the statistics of all services."`
	Remove   remote.RemoveCmd   `cmd:"" group:"Work with a running server:" aliases:"rm" help:"Remove a service and its earlier versions."`
	Versions remote.VersionsCmd `cmd:"" group:"Work with a running server:" help:"List the versions of a service, with their shares of the requests."`
	Diff     remote.DiffCmd     `cmd:"" group:"Work with a running server:" help:"Show the differences of two versions of a service."`
	Split    remote.SplitCmd    `cmd:"" group:"Work with a running server:" help:"Divide the requests of a service among its versions."`
	Rollback remote.RollbackCmd `cmd:"" group:"Work with a running server:" help:"Go back to an earlier version of a service."`
	Trigger  remote.TriggerCmd  `cmd:"" group:"Work with a running server:" help:"Run a schedule of a service now, and show the answer."`
	Usage    remote.UsageCmd    `cmd:"" group:"Work with a running server:" help:"Show what services cost: requests, processor time, work, memory and bytes."`
	Cache    remote.CacheCmd    `cmd:"" group:"Work with a running server:" help:"Empty the cache of a service."`
	KV       remote.KVCmd       `cmd:"" name:"kv" group:"Work with a running server:" help:"List, read and change the key-value stores of a server."`
	Token    remote.TokenCmd    `cmd:"" group:"Work with a running server:" help:"Make, list and revoke tokens for a server's management API."`
	Audit    remote.AuditCmd    `cmd:"" group:"Work with a running server:" help:"Show who has changed what."`
	Hosts    remote.HostsCmd    `cmd:"" group:"Work with a running server:" help:"List the hosts with the server's catalogue, and drain one."`
	Whoami   remote.WhoamiCmd   `cmd:"" group:"Work with a running server:" help:"Show what a server lets you do."`
	Ready    remote.ReadyCmd    `cmd:"" group:"Work with a running server:" help:"Report whether a server is ready, as a health check."`
	Version  versionCmd         `cmd:"" group:"About this program:" help:"Show the version of this program, like --version."`
	Help     helpCmd            `cmd:"" group:"About this program:" help:"Show the usage of a command."`

	Completion shell.CompletionCmd `cmd:"" group:"About this program:" help:"Print a script that completes commands in a shell."`
	Man        manual.ManCmd       `cmd:"" group:"About this program:" help:"Print the manual page of this program."`
}

// vars returns the variables that the struct tags of the commands refer to.
func vars() kong.Vars {
	return server.Vars().CloneWith(remote.Vars()).CloneWith(project.Vars())
}

// openProject opens a project for "vespo add".
func openProject(dir string) (remote.Project, error) {
	p, err := project.Open(dir)
	if err != nil {
		return nil, err // not a *project.Project that is nil
	}
	return p, nil
}

// run executes one command line of a program without stores, and returns the exit code.
func run(ctx context.Context, args []string, s stdio.Streams) int {
	return runWith(ctx, server.Openers{}, args, s)
}

func runWith(ctx context.Context, open server.Openers, args []string, s stdio.Streams) int {
	if len(args) == 0 {
		run(ctx, []string{"--help"}, stdio.Streams{Out: s.Err, Err: s.Err})
		return ExitUsage
	}
	ended := false
	commands := &cli{
		Add:     remote.NewAddCmd(server.Kinds(), openProject),
		Dev:     project.NewDevCmd(),
		Serve:   server.NewServeCmd(open),
		Check:   server.NewCheckCmd(open),
		Migrate: server.NewMigrateCmd(open),
	}
	parser, err := flags.New(commands, vars().CloneWith(kong.Vars{"version": version.Read().String()}),
		kong.Name("vespo"),
		kong.Description(description),
		kong.Writers(s.Out, s.Err),
		flags.Verbatim(),
		flags.Level(),
		flags.Duration(),
		flags.Number(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(int) { ended = true }), // called after --help and --version have printed
	)
	if err != nil {
		return report(s, err)
	}
	flags.WithoutEmpty(parser.Model.Node)
	if len(args) > 0 && args[0] == shell.Command {
		shell.Complete(s.Out, parser.Model, args[1:])
		return ExitOK
	}
	warnOfVariables(s.Err, parser.Model, os.Environ())
	command, err := parser.Parse(withNegativeValues(parser.Model, args))
	switch {
	case ended:
		return ExitOK
	case err != nil:
		return misused(s, meant(parser.Model, args, missing(withoutAliases(parser.Model, err))), selected(err))
	}
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(s)
	command.Bind(command)
	err = command.Run()
	var misuse *usageError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &misuse):
		return misused(s, err, nil)
	case stdio.IsReported(err):
		return ExitFailed
	}
	return report(s, err)
}

// misused prints an error of the command line and how to see the usage of its command, if that is known. It returns the exit
// code.
func misused(s stdio.Streams, err error, command *kong.Node) int {
	s.Report(err)
	name := "vespo --help\" or \"vespo COMMAND"
	if command != nil {
		name = nameOf(command)
		if aboutArguments(err) {
			fmt.Fprintf(s.Err, "usage: %s%s\n", name, strings.TrimPrefix(command.Summary(), command.Path()))
		}
	}
	fmt.Fprintf(s.Err, "run \"%s --help\" for the usage\n", name)
	return ExitUsage
}

// report prints the error of a failed command and returns the exit code.
func report(s stdio.Streams, err error) int {
	s.Report(err)
	return ExitFailed
}
