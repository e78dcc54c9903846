package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/peer"
)

const (
	// crowd is the number of services with Zipf traffic.
	crowd = 1000
	// crowdOfGo is the part of them that is of standard Go: one in so many. The others are written by hand.
	crowdOfGo = 10
	// exponent is that of the distribution: the first service has about a seventh of the requests.
	exponent = 1.1
)

// mix are requests of which the first ones are more frequent.
type mix struct{ requests []*load.Request }

// newMix returns n requests to services named by their number.
func newMix(n int) *mix {
	m := &mix{}
	for i := range n {
		m.requests = append(m.requests, &load.Request{Path: fmt.Sprintf("/s%d", i)})
	}
	return m
}

// picks returns the choices of connections, which repeat in each run.
func (m *mix) picks(connections int) (all []func() int) {
	for i := range connections {
		z := rand.NewZipf(rand.New(rand.NewPCG(uint64(i), 0)), exponent, 1, uint64(len(m.requests)-1))
		all = append(all, func() int { return int(z.Uint64()) })
	}
	return all
}

// zipf measures many services in one server, some of which are asked for often and most rarely.
func (b *bench) zipf(ctx context.Context, s *sheet) error {
	file, err := b.declareCrowd(ctx)
	if err != nil {
		return err
	}
	note := fmt.Sprintf("A hundred services are of standard Go with the SDK, the others written by hand; all of them differ in their data. "+
		"Requests choose the i-th with a probability proportional to i^-%.1f. \"One service\" is hello for all of the paths, and so is net/http: one handler, without "+
		"services. Services that were not asked for yet start during the run.", exponent)
	t := &task{
		name:  "1,000 services",
		title: fmt.Sprintf("%d services, Zipf traffic", crowd),
		mix:   newMix(crowd),
		note:  note,
	}
	one := filepath.Join(filepath.Dir(file), "one.toml")
	if err := os.WriteFile(one, []byte("[[service]]\nprefix = \"/\"\nmodule = \"modules/s1\"\n"), 0o600); err != nil {
		return err
	}
	native := func(b *bench, ctx context.Context, _ *task) (*server, error) {
		return b.startPeer(ctx, peer.Native, peer.SDKHello)
	}
	return b.raceThese(ctx, s, t, []rival{
		{name: rivalVespo, state: stateFresh, start: startDeclared("crowd", file)},
		{name: "Vespo, one service", state: stateFresh, start: startDeclared("crowd-one", one)},
		{name: rivalNative, state: stateShared, start: native},
	})
}

// startDeclared returns a function that starts a Vespo with a configuration file.
func startDeclared(data, file string) func(*bench, context.Context, *task) (*server, error) {
	return func(b *bench, ctx context.Context, _ *task) (*server, error) {
		v, _, err := b.started(ctx, filepath.Join(b.dir, data), "--config-file", file)
		return v, err
	}
}

// declareCrowd writes the modules and a configuration file with the services, and returns its path.
func (b *bench) declareCrowd(ctx context.Context) (string, error) {
	small, err := b.module(ctx, peer.Hello)
	if err != nil {
		return "", err
	}
	ofGo, err := b.module(ctx, peer.SDKHello)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.dir, "crowd")
	if err := os.MkdirAll(filepath.Join(dir, "modules"), 0o755); err != nil {
		return "", err
	}
	var config strings.Builder
	for i := range crowd {
		from, text := small, "hello"
		if i%crowdOfGo == 0 {
			from, text = ofGo, "hello "
		}
		bin, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		name := fmt.Sprintf("s%d", i)
		bin = []byte(strings.Replace(string(bin), text, fmt.Sprintf("%0*d", len(text), i), 1))
		if err := os.WriteFile(filepath.Join(dir, "modules", name), bin, 0o600); err != nil {
			return "", err
		}
		fmt.Fprintf(&config, "[[service]]\nprefix = %q\nmodule = %q\n", name, "modules/"+name)
	}
	file := filepath.Join(dir, "vespo.toml")
	return file, os.WriteFile(file, []byte(config.String()), 0o600)
}
