package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/peer"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

// config holds the values of the flags.
type config struct {
	tables      []string
	guests      []string      // of the table of components
	round       time.Duration // for one server
	rounds      int
	connections int
	requests    int           // before the last memory measurement
	repeats     int           // number of measurements of each start
	services    int           // of Go, in the table of densities
	report      string        // the page to write; empty: tables to standard output
	rivals      []string      // of the page
	patience    time.Duration // with an answer of a rival
}

// tables lists all tables in the order of the report.
var tables = []struct {
	name  string
	write func(*bench, context.Context) error
}{
	{"throughput", (*bench).throughput},
	{"http2", (*bench).http2},
	{"price", (*bench).price},
	{"components", (*bench).components},
	{"isolation", (*bench).isolation},
	{"metering", (*bench).metering},
	{"memory", (*bench).memory},
	{"neighbour", (*bench).neighbour},
	{"start", (*bench).start},
	{"density", (*bench).density},
	{"deploy", (*bench).deploy},
}

func main() {
	// The kernel kills a child when the thread that started it exits: keep this thread.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the main function. With "peer" as the first argument, the program is one of the
// servers compared with Vespo.
func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == "peer" {
		return servePeer(ctx, args[1:], out)
	}
	cfg, err := parse(args)
	if err != nil {
		return err
	}
	began, idle := time.Now(), firstWord("/proc/loadavg")
	b, err := open(ctx, cfg, out)
	if err != nil {
		return err
	}
	defer b.close()
	if cfg.report != "" {
		return b.writePage(ctx, cfg.report, pageCommand(args, cfg.report))
	}
	machine(out)
	for _, t := range tables {
		if !slices.Contains(cfg.tables, t.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s...\n", t.name)
		if err := t.write(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	fmt.Fprintf(out, "\nMeasured in %v. The load average was %s before and is %s now, this program's own load included.\n",
		time.Since(began).Round(time.Second), idle, firstWord("/proc/loadavg"))
	if len(b.goals) == 0 {
		return nil
	}
	return report.Goals(b.goals).Write(out)
}

// names returns the names of all tables, or of all sections of the page.
func names(page bool) (all []string) {
	if page {
		for _, s := range sections {
			all = append(all, s.name)
		}
		return all
	}
	for _, t := range tables {
		all = append(all, t.name)
	}
	return all
}

func parse(args []string) (*config, error) {
	c := &config{}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	list := set.String("tables", "", "what to measure: "+strings.Join(names(false), ",")+"; with -report: "+strings.Join(names(true), ",")+" (default all)")
	peers := set.String("peers", strings.Join(rivalNames(), ","), "which servers a report compares")
	set.DurationVar(&c.patience, "patience", 10*time.Second, "how long a report waits for an answer, before the server is absent")
	set.StringVar(&c.report, "report", "", "write a page with the figures of all peers to this file, and charts to the directory beside it")
	guests := set.String("components", "rust,c,go,js", "which components to measure")
	set.DurationVar(&c.round, "round", 500*time.Millisecond, "how long a server is measured in one round; also scales the other tables")
	set.IntVar(&c.rounds, "rounds", 8, "how often each server is measured")
	set.IntVar(&c.connections, "connections", 16, "connections to the server that is measured")
	set.IntVar(&c.requests, "requests", 200_000, "requests after which memory is measured last")
	set.IntVar(&c.repeats, "repeats", 3, "how often starts and wake-ups are measured")
	set.IntVar(&c.services, "services", 100, "services of the table density; small ones are ten times as many. Full scale is 1000")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	all := names(c.report != "")
	c.tables, c.guests = all, strings.Split(*guests, ",")
	if *list != "" {
		c.tables = strings.Split(*list, ",")
	}
	for _, name := range c.tables {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("there is no table %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	for _, name := range c.guests {
		if !slices.ContainsFunc(componentGuests, func(g componentGuest) bool { return g.name == name }) {
			return nil, fmt.Errorf("there is no component %q", name)
		}
	}
	c.rivals = strings.Split(*peers, ",")
	for _, name := range c.rivals {
		if !slices.Contains(rivalNames(), name) {
			return nil, fmt.Errorf("there is no peer %q", name)
		}
	}
	if set.NArg() > 0 || c.patience <= 0 || c.round <= 0 || c.rounds < 1 || c.connections < 1 || c.repeats < 1 || c.services < 10 || c.services > 99_999/smallFactor || c.requests <= firstRequests {
		return nil, fmt.Errorf("arguments out of range: all numbers are above 0, -requests is above %d", firstRequests)
	}
	return c, nil
}

// servePeer runs one of the servers compared with Vespo. It stops when its parent exits,
// which closes the pipe.
func servePeer(ctx context.Context, args []string, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := peer.Config{Kind: peer.Kind(args[0]), Service: args[1]}
	if len(args) > 2 {
		var err error
		if c.Module, err = os.ReadFile(args[2]); err != nil {
			return err
		}
		c.CacheDir = args[3]
	}
	go func() { // ends with the pipe or the process
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return peer.Serve(ctx, c, out)
}

// machine writes a description of the machine.
func machine(out io.Writer) {
	fmt.Fprintf(out, "# Vespo beside its peers\n\n%s, %s/%s, %d processors (%s), kernel %s.\n", runtime.Version(),
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), field("/proc/cpuinfo", "model name"), firstWord("/proc/sys/kernel/osrelease"))
}
