package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

// raceComponents measures components and workers in JavaScript beside the servers that can run the same ones.
func (b *bench) raceComponents(ctx context.Context, s *sheet) error {
	for _, g := range componentGuests {
		if !slices.Contains(b.guests, g.name) {
			continue
		}
		t := &task{
			name:    "component, " + g.name,
			title:   "Hello: " + g.title,
			service: g.name,
			request: load.Request{Path: "/" + g.name},
			answer:  "hello from /" + g.name + "\n",
		}
		if err := b.buildComponent(ctx, g); err != nil {
			s.add(&report.Table{Title: t.title, Header: []string{"server"}, Notes: []string{"Absent: all servers: " + reason(err) + "."}})
			continue
		}
		all := []rival{{name: rivalVespo, state: stateFresh, start: (*bench).startService}}
		for _, p := range b.componentPeers(g) {
			name, state, _ := strings.Cut(p.name, ", ")
			state = strings.Fields(state)[0]
			if name == rowJcoName {
				name, t.note = fmt.Sprintf("%s (%s)", name, state), "jco is version "+b.jcoVersion(g)+"."
			}
			start := func(_ *bench, ctx context.Context, _ *task) (*server, error) { return p.start(ctx) }
			all = append(all, rival{name: name, state: state, start: start, warm: warmRoundsScript})
		}
		if err := b.raceThese(ctx, s, t, all); err != nil {
			return err
		}
	}
	return nil
}

// jcoVersion returns the version of jco in the project of a component.
func (b *bench) jcoVersion(g componentGuest) string {
	text, _ := os.ReadFile(filepath.Join(b.projectDir(g), "node_modules", "@bytecodealliance", "jco", "package.json"))
	var described struct{ Version string }
	if json.Unmarshal(text, &described) != nil || described.Version == "" {
		return "unknown"
	}
	return described.Version
}
