package lambda

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/heaptest"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

func TestVersionOf(t *testing.T) {
	for key, want := range map[routekey.Key]string{routekey.MustParse("/fn~1"): "1", routekey.MustParse("/a/b~27"): "27", routekey.MustParse("/fn"): "", routekey.MustParse("/fn~"): "", routekey.MustParse("/fn~x"): "", routekey.MustParse("/fn~01"): "", routekey.MustParse("/fn~0"): "", routekey.MustParse("/~1"): ""} {
		base, number, ok := versionOf(key)
		require.Equal(t, want != "", ok, key)
		require.Equal(t, want, number)
		if ok {
			require.Equal(t, key, versionPrefix(base, number))
		}
	}
}

func TestAliasChoosesByWeight(t *testing.T) {
	a := &alias{Version: "1", Weights: map[string]float64{"2": 0.25}}
	counts := map[string]int{}
	for i := range 1000 {
		counts[a.choose(float64(i)/1000)]++
	}
	require.Equal(t, map[string]int{"1": 750, "2": 250}, counts)
	require.Equal(t, "1", (&alias{Version: "1"}).choose(0))
	require.Equal(t, "2", (&alias{Version: "1", Weights: map[string]float64{"2": 1}}).choose(0.9999))
}

func TestBook(t *testing.T) {
	stored := map[string]registry.Record{}
	b := newBook(func(name string) registry.Record { return stored[name] })
	change := func(name string, f func(*record) error) error {
		next, err := editOf(f)(stored[recordOf(name)])
		if err == nil {
			stored[recordOf(name)] = next
		}
		return err
	}
	set := func(description string) func(*record) error {
		return func(r *record) error {
			r.Description = description
			r.Aliases = map[string]*alias{"prod": {Version: "1"}}
			return nil
		}
	}
	require.NoError(t, change("fn", set("one")))
	require.Equal(t, "one", b.get("fn").Description)
	refused := errors.New("no")
	require.ErrorIs(t, change("fn", func(r *record) error {
		r.Aliases["prod"].Version = "9"
		return refused
	}), refused)
	require.Equal(t, "1", b.get("fn").Aliases["prod"].Version, "a refused change changes nothing")
	require.NoError(t, change("fn", set("two")))
	require.Equal(t, "two", b.get("fn").Description)
	require.Empty(t, b.get("other"))

	require.NoError(t, change("fn", func(r *record) error { *r = record{}; return nil }))
	require.Equal(t, registry.Record{}, stored[recordOf("fn")], "an empty record is none")
	require.Empty(t, b.get("fn"))
	require.Empty(t, b.decoded)

	for _, unreadable := range []registry.Record{{Kind: "other", Manifest: "{}"}, {Kind: recordKind, Manifest: `{"aliases":1}`}} {
		stored[recordOf("fn")] = unreadable
		require.Error(t, change("fn", set("three")), "what cannot be read is not written over")
		require.Empty(t, b.get("fn"))
	}
}

func TestRunning(t *testing.T) {
	var c running
	two := 2
	first, err := c.begin("fn", &two)
	require.NoError(t, err)
	second, err := c.begin("fn", &two)
	require.NoError(t, err)
	_, err = c.begin("fn", &two)
	require.Error(t, err)
	_, err = c.begin("other", nil)
	require.NoError(t, err)
	first()
	second()
	zero := 0
	_, err = c.begin("fn", &zero)
	require.Error(t, err, "0 is none")
	require.Equal(t, map[string]int{"other": 1}, c.counts)
}

// TestBookHoldsNoRequests asks for functions by names that are parts of larger texts, as those of requests are.
func TestBookHoldsNoRequests(t *testing.T) {
	const functions = 64
	b := newBook(func(string) registry.Record { return registry.Record{Kind: recordKind, Manifest: "{}"} })
	before := heaptest.InUse()
	for i := range functions {
		b.get(heaptest.Part(fmt.Sprint(i)))
	}
	require.Less(t, heaptest.InUse(), before+functions*heaptest.Large/4)
	require.Len(t, b.decoded, functions)
}
