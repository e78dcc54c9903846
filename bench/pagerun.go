package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/report"
)

// sectionTime limits one section of the page.
const sectionTime = 5 * time.Minute

// Names of the charts.
const (
	chartRate = "throughput"
	chartCPU  = "cpu"
	chartCold = "cold"
	chartLoud = "neighbour"
)

// section is a part of the page.
type section struct {
	name    string
	measure func(*bench, context.Context, *sheet) error
}

// sections lists all sections in the order in which they are measured.
var sections = []section{
	{"hello", func(b *bench, ctx context.Context, s *sheet) error {
		mux, err := newTask(muxTask())
		if err != nil {
			return err
		}
		return b.raceAll(ctx, s, []*task{helloTask(), sdkTask(), mux})
	}},
	{"echo", ofTasks(echoTasks)},
	{"json", ofTasks(jsonTasks)},
	{"html", ofTasks(htmlTasks)},
	{"markdown", ofTasks(markdownTasks)},
	{"resize", ofTasks(resizeTasks)},
	{"sieve", ofTasks(sieveTasks)},
	{"nea", ofTasks(neaTasks)},
	{"fetch", (*bench).fetch},
	{"zipf", (*bench).zipf},
	{"cold", (*bench).coldBurst},
	{"neighbour", (*bench).noise},
	{"scaling", (*bench).scaling},
	{"components", (*bench).raceComponents}, // builds with npm: last, as that may take long
}

// ofTasks returns the measurement of tasks whose handlers are in Go.
func ofTasks(tasks func() []task) func(*bench, context.Context, *sheet) error {
	return func(b *bench, ctx context.Context, s *sheet) error {
		var all []*task
		for _, t := range tasks() {
			made, err := newTask(t)
			if err != nil {
				return err
			}
			all = append(all, made)
		}
		return b.raceAll(ctx, s, all)
	}
}

// sheet takes the figures of a section.
type sheet struct {
	page   *report.Page
	tables *report.Section
}

func (s *sheet) add(t *report.Table) { s.tables.Tables = append(s.tables.Tables, t) }

// mark adds a mark to a chart of the page.
func (s *sheet) mark(chart, row, series string, value float64) {
	s.page.Charts[chart].Add(row, series, value)
}

// raceAll measures tasks with all of their rivals.
func (b *bench) raceAll(ctx context.Context, s *sheet, all []*task) error {
	for _, t := range all {
		if err := b.raceThese(ctx, s, t, b.chosen(t)); err != nil {
			return err
		}
	}
	return nil
}

// raceThese measures a task with the given rivals.
func (b *bench) raceThese(ctx context.Context, s *sheet, t *task, all []rival) error {
	c := b.race(ctx, t, all)
	s.add(c.Table())
	base := c.Base()
	if base == nil {
		return errors.New("no server could be measured")
	}
	for _, e := range c.Entries {
		if base.Name != rivalNative || !slices.Contains(rivalNames(), e.Name) {
			continue // a variant, for the table alone
		}
		s.mark(chartRate, t.name, e.Name, e.PerSecond.Over(base.PerSecond).Median())
		s.mark(chartCPU, t.name, e.Name, e.CPU.Over(base.CPU).Median())
	}
	return nil
}

// pageCommand returns the command that writes the page. Wherever it is written now, it belongs to docs/ of the repository.
func pageCommand(args []string, page string) string {
	command := []string{"go run ./bench"}
	for _, arg := range args {
		command = append(command, strings.ReplaceAll(arg, page, "docs/"+filepath.Base(page)))
	}
	return strings.Join(command, " ")
}

// writePage measures the selected sections and writes the page after each of them, so that an interrupted run leaves its results.
func (b *bench) writePage(ctx context.Context, path, command string) error {
	p := b.newPage(ctx, command)
	began := time.Now()
	for _, one := range sections {
		if !slices.Contains(b.tables, one.name) || ctx.Err() != nil {
			continue
		}
		fmt.Fprintf(os.Stderr, "%v %s...\n", time.Since(began).Round(time.Second), one.name)
		b.measureSection(ctx, one, p, sectionTime)
		took := report.Fact{Name: "length of the run", Value: time.Since(began).Round(time.Second).String()}
		after := report.Fact{Name: "load average at the end", Value: strings.Join(loadAverage(), ", ")}
		written := *p
		written.Facts = append(slices.Clone(p.Facts), after, took)
		if err := written.WriteFile(path); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// measureSection runs a section within a limit. A failure is a part of the page, not of the run.
func (b *bench) measureSection(ctx context.Context, one section, p *report.Page, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s := &sheet{page: p, tables: &report.Section{}}
	p.Sections[one.name] = s.tables
	err := one.measure(b, ctx, s)
	if err != nil || ctx.Err() != nil {
		s.tables.Failed = reason(errors.Join(ctx.Err(), err))
		fmt.Fprintf(os.Stderr, "%s: %v\n", one.name, err)
	}
}

func (b *bench) newPage(ctx context.Context, command string) *report.Page {
	return &report.Page{
		Facts:    machineFacts(),
		Versions: b.versions(ctx),
		Commands: []string{command},
		Sections: map[string]*report.Section{},
		Charts: map[string]*report.Chart{
			chartRate: {Title: "Requests per second, as a multiple of net/http's", Axis: "more is better"},
			chartCPU:  {Title: "Processor time of a request, as a multiple of net/http's", Axis: "less is better"},
			chartCold: {Title: "First answers of 50 services, as a multiple of processes with net/http", Axis: "less is better"},
			chartLoud: {Title: "Latency of hello beside requests that spin, as a multiple of that alone", Axis: "less is better"},
		},
	}
}
