package canonical

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// thing and other are resources that count their drops.
type (
	thing struct{ dropped *int }
	other struct{ dropped *int }
)

func (r *thing) Drop() { *r.dropped++ }
func (r *other) Drop() { *r.dropped++ }

// faults reports whether code ends the guest.
func faults(code func()) (ended bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ended = r.(engine.Fault); !ended {
				panic(r)
			}
		}
	}()
	code()
	return false
}

func TestHandles(t *testing.T) {
	var table Table
	dropped := 0
	a := &thing{&dropped}
	h := table.Add(a, 0)
	require.EqualValues(t, 1, h)
	require.Same(t, a, Get[*thing](&table, uint64(h)|1<<32))
	for name, bad := range map[string]func(){
		"handle 0":           func() { Get[*thing](&table, 0) },
		"unknown":            func() { Get[*thing](&table, 2) },
		"huge":               func() { Get[*thing](&table, 1<<32-1) },
		"of another type":    func() { Get[*other](&table, 1) },
		"take another type":  func() { Take[*other](&table, 1) },
		"lend what is not":   func() { table.Lend(7) },
		"return what is not": func() { table.Return(7) },
	} {
		require.True(t, faults(bad), name)
	}
	require.Same(t, a, Take[*thing](&table, 1))
	require.Zero(t, dropped, "what is taken belongs to the host")
	require.True(t, faults(func() { Take[*thing](&table, 1) }), "it is gone")
	require.EqualValues(t, 1, table.Add(a, 0), "a number is used again")

	table.Lend(1)
	require.True(t, faults(func() { Take[*thing](&table, 1) }), "it is in use")
	table.Return(1)
	child := table.Add(&other{&dropped}, 1)
	require.True(t, faults(func() { Take[*thing](&table, 1) }), "it has a child")
	Take[*other](&table, uint64(child)).Drop()
	Take[*thing](&table, 1).Drop()
	require.Equal(t, 2, dropped)
	require.Zero(t, table.Open())
}

func TestHandlesAreBounded(t *testing.T) {
	var table Table
	dropped := 0
	for range MaxHandles {
		table.Add(&thing{&dropped}, 0)
	}
	require.True(t, faults(func() { table.Add(&thing{&dropped}, 0) }))
	require.Equal(t, 1, dropped, "the one without a handle")
	table.Close()
	require.Equal(t, MaxHandles+1, dropped)
	table.Close()
	require.Equal(t, MaxHandles+1, dropped)
	require.LessOrEqual(t, cap(table.entries), keepEntries)
	require.EqualValues(t, 1, table.Add(&thing{&dropped}, 0), "a new call begins with an empty table")
}

// TestHandlesAgainstAModel compares the table with a map.
func TestHandlesAgainstAModel(t *testing.T) {
	type known struct {
		parent   Handle
		children int
	}
	random := rand.New(rand.NewPCG(1, 2))
	var table Table
	dropped, added := 0, 0
	model := map[Handle]*known{}
	for range 20_000 {
		h := Handle(random.IntN(20))
		switch k := model[h]; random.IntN(3) {
		case 0, 1:
			if k == nil && h != 0 || len(model) > 15 {
				continue
			}
			added++
			n := table.Add(&thing{&dropped}, h)
			require.Nil(t, model[n])
			model[n] = &known{parent: h}
			if k != nil {
				k.children++
			}
		case 2:
			failed := faults(func() { Take[*thing](&table, uint64(h)).Drop() })
			require.Equal(t, k == nil || k.children > 0, failed)
			if !failed {
				delete(model, h)
				if p := model[k.parent]; p != nil {
					p.children--
				}
			}
		}
		require.Equal(t, len(model), table.Open())
	}
	table.Close()
	require.Equal(t, added, dropped, "each is dropped once")
}
