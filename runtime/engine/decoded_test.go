package engine

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestModulesAreDecodedOnceUntilCompiled(t *testing.T) {
	e := open(t, Config{SlotBytes: 32 * PageBytes})
	bin := guest(t, "start")
	first, err := e.Decode(bin)
	require.NoError(t, err)
	require.Positive(t, e.Stats().DecodedBytes)
	for range 3 {
		again, err := e.Decode(append([]byte(nil), bin...)) // another copy of the same module
		require.NoError(t, err)
		require.Same(t, first, again)
	}
	require.EqualValues(t, 1, e.Stats().Decodings)
	m, err := e.Compile(context.Background(), first, ModuleOptions{})
	require.NoError(t, err)
	require.Zero(t, e.Stats().DecodedBytes, "nothing is held after the compilation")
	require.NoError(t, m.Close(context.Background()))
	again, err := e.Decode(bin)
	require.NoError(t, err)
	require.NotSame(t, first, again)
	require.EqualValues(t, 2, e.Stats().Decodings)
}

func TestModulesThatCannotBeCompiledAreNotKept(t *testing.T) {
	e := open(t, Config{})
	_, err := e.Decode([]byte("\x00asm\x01\x00\x00\x00\xff"))
	var invalid *ModuleError
	require.ErrorAs(t, err, &invalid)
	require.Zero(t, e.Stats().DecodedBytes)

	d, err := e.Decode([]byte("\x00asm\x01\x00\x00\x00")) // valid, but without a memory
	require.NoError(t, err)
	require.Positive(t, e.Stats().DecodedBytes)
	_, err = e.Compile(context.Background(), d, ModuleOptions{})
	require.ErrorAs(t, err, &invalid)
	require.Zero(t, e.Stats().DecodedBytes)
}

// module returns a Decoded of a given size in memory.
func module(t *testing.T, id byte, bytes int) *Decoded {
	d := decoded(t, guest(t, "start"))
	d.sum[0], d.size = id, bytes-int(d.module.HeldBytes())
	require.EqualValues(t, bytes, d.heldBytes())
	return d
}

func TestDecodedModulesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := decodedModules{limit: 100_000}
		defer k.close()
		a, b, c := module(t, 1, 50_000), module(t, 2, 50_000), module(t, 3, 50_000)
		for _, d := range []*Decoded{a, b, c, a} {
			k.put(d, time.Now())
		}
		require.EqualValues(t, 100_000, k.heldBytes())
		require.Same(t, a, k.get(a.sum), "the one that is compiled first is not dropped")
		require.Nil(t, k.get(c.sum))
		k.drop(a.sum)
		k.drop(a.sum)
		k.put(c, time.Now())
		require.Same(t, c, k.get(c.sum))
		require.EqualValues(t, 100_000, k.heldBytes())
		k.put(module(t, 4, 100_001), time.Now())
		require.EqualValues(t, 100_000, k.heldBytes())
	})
}

func TestNamesOfAComponentCount(t *testing.T) {
	d := module(t, 1, 50_000)
	d.world = &World{Imports: []string{strings.Repeat("i", 1000)}, Exports: []string{strings.Repeat("e", 100)}}
	require.EqualValues(t, 50_000+1100+2*16, d.heldBytes())
}

func TestDecodedModulesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := decodedModules{limit: 100_000}
		a, b := module(t, 1, 50_000), module(t, 2, 50_000)
		k.put(a, time.Now())
		time.Sleep(maxDecodedTime / 2)
		k.put(b, time.Now())
		time.Sleep(maxDecodedTime/2 - 1)
		synctest.Wait()
		require.Same(t, a, k.get(a.sum))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Nil(t, k.get(a.sum))
		require.Same(t, b, k.get(b.sum))
		time.Sleep(maxDecodedTime / 2)
		synctest.Wait()
		require.Zero(t, k.heldBytes())
		k.put(a, time.Now())
		k.close()
		require.Zero(t, k.heldBytes())
		k.put(a, time.Now())
		require.Zero(t, k.heldBytes(), "a closed engine holds nothing")
	})
}
