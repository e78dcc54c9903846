package wasicloud

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// shelf implements abi.KeyValue with one store, "a".
type shelf struct {
	entries map[string]abi.KeyValueEntry
	version uint64
	writes  int
	fails   abi.KeyValueCode
	changes []abi.KeyValueChange // of the last write
}

func (s *shelf) Has(store string) bool { return store == "a" }

func (s *shelf) check(store string) error {
	switch {
	case s.fails != 0:
		return &abi.KeyValueError{Code: s.fails, Reason: "secret"}
	case store != "a":
		return &abi.KeyValueError{Code: abi.KeyValueNoStore}
	}
	return nil
}

func (s *shelf) Get(_ context.Context, store, key string) (abi.KeyValueEntry, error) {
	e, ok := s.entries[key]
	if err := s.check(store); err != nil || ok {
		return e, err
	}
	return e, &abi.KeyValueError{Code: abi.KeyValueNotFound}
}

func (s *shelf) Write(_ context.Context, store string, changes []abi.KeyValueChange) (results []abi.KeyValueResult, err error) {
	if err := s.check(store); err != nil {
		return nil, err
	}
	s.changes = changes
	s.writes++
	for _, c := range changes {
		e, ok := s.entries[c.Key]
		if c.If != nil && *c.If != e.Version {
			return nil, &abi.KeyValueError{Code: abi.KeyValueConflict}
		}
		s.version++
		n, _ := strconv.ParseInt(string(e.Value), 10, 64)
		r := abi.KeyValueResult{Existed: ok, Version: s.version, Number: n + c.Delta}
		switch c.Op {
		case abi.KeyValueDelete:
			delete(s.entries, c.Key)
		case abi.KeyValueAdd:
			s.entries[c.Key] = abi.KeyValueEntry{Key: c.Key, Version: s.version, Value: []byte(strconv.FormatInt(r.Number, 10))}
		default:
			e = abi.KeyValueEntry{Key: c.Key, Version: s.version, Value: slices.Clone(c.Value), Metadata: c.Metadata}
			if c.TTL > 0 {
				e.Expires = time.UnixMilli(c.TTL.Milliseconds())
			}
			s.entries[c.Key] = e
		}
		results = append(results, r)
	}
	return results, nil
}

func (s *shelf) List(_ context.Context, store, prefix, cursor string, limit int) (page abi.KeyValuePage, err error) {
	if err := s.check(store); err != nil {
		return page, err
	}
	for _, key := range slices.Sorted(maps.Keys(s.entries)) {
		if key <= cursor || !strings.HasPrefix(key, prefix) {
			continue
		}
		if len(page.Entries) == min(limit, 2) { // pages are short
			page.Next = page.Entries[1].Key
			break
		}
		page.Entries = append(page.Entries, s.entries[key])
	}
	return page, nil
}

// guest is a puppet whose code is the test.
type guest struct {
	t     *testing.T
	bench *abitest.Bench
	in    *engine.Instance
	kv    *shelf
	log   []string
	next  uint32 // free memory
}

// component is an ABI of these interfaces alone.
type component struct{ abi.ABI }

func (component) Functions(*engine.Info) (init, entries []string) {
	return nil, []string{"handle_request", canonical.Allocator}
}

func (component) Bind(in *engine.Instance, env *abi.Environment) { Bind(canonical.Bind(in, 1), env) }

func newGuest(t *testing.T) *guest {
	b, err := abitest.Open(HostModules()...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	g := &guest{t: t, bench: b, kv: &shelf{entries: map[string]abi.KeyValueEntry{}}}
	g.in, err = b.Puppet(component{}, &abi.Environment{
		Settings: abi.NewSettings(map[string]string{"name": "value", "b": ""}),
		Log:      func(abi.Level, []byte) {},
	})
	require.NoError(t, err)
	return g
}

const (
	resultAt = 0x8000
	freeAt   = 0x9000
)

// run runs code as the guest in an invocation.
func (g *guest) run(code func()) engine.Outcome {
	g.t.Helper()
	state := canonical.Of(g.in)
	s := state.Cloud.(*State)
	s.Begin(&abi.Invocation{KeyValue: g.kv, Log: func(l abi.Level, line []byte) { g.log = append(g.log, fmt.Sprint(l, " ", string(line))) }})
	defer s.End()
	defer state.Handles.Close()
	g.next = freeAt
	g.bench.Act = func(_ *engine.Instance, at abitest.Entry, align, size uint32) int64 {
		if at == abitest.Allocate {
			return int64(g.alloc(align, size))
		}
		code()
		return 0
	}
	return g.in.Call(context.Background(), abitest.Soon(), 0, make([]uint64, 1))
}

func (g *guest) ok(code func()) {
	g.t.Helper()
	out := g.run(code)
	require.Equal(g.t, engine.OK, out.Kind, "%v", out.Err)
}

func (g *guest) traps(code func()) {
	g.t.Helper()
	require.Equal(g.t, engine.Trap, g.run(code).Kind)
}

func (g *guest) alloc(align, size uint32) uint32 {
	g.next = (g.next + align - 1) &^ (align - 1)
	g.next += size
	return g.next - size
}

// put writes text to the memory and returns its address and length.
func (g *guest) put(text string) []uint64 {
	at := g.alloc(1, uint32(len(text)))
	copy(g.in.Memory()[at:], text)
	return []uint64{uint64(at), uint64(len(text))}
}

// call calls a function with numbers, and texts as pairs.
func (g *guest) call(name string, params ...any) uint64 {
	var flat []uint64
	for _, p := range params {
		switch p := p.(type) {
		case string:
			flat = append(flat, g.put(p)...)
		case int:
			flat = append(flat, uint64(p))
		case uint64:
			flat = append(flat, p)
		}
	}
	clear(g.in.Memory()[resultAt:freeAt])
	return g.bench.Call(g.in, name, flat...)
}

func (g *guest) byte(at int) int { return int(g.in.Memory()[resultAt+at]) }

func (g *guest) uint32(at int) int {
	return int(canonical.Uint32(g.in.Memory()[resultAt:], at))
}

func (g *guest) uint64(at int) uint64 {
	return uint64(g.uint32(at)) | uint64(g.uint32(at+4))<<32
}

// text returns the text whose address and length are at an offset.
func (g *guest) text(at int) string {
	return string(g.in.Memory()[g.uint32(at):][:g.uint32(at+4)])
}

// texts returns the first text of each element of a list.
func (g *guest) texts(at, size int) (all []string) {
	for i := range g.uint32(at + 4) {
		base := g.uint32(at) + i*size - resultAt
		all = append(all, g.text(base))
	}
	return all
}
