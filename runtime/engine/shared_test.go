package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"

	"github.com/vespo-dev/vespo/runtime/compiler"
)

// The entries of the guest "peek".
const (
	peek = iota
	poke
	pages
	grow
)

var peekOptions = ModuleOptions{Entries: []string{"peek", "poke", "pages", "grow"}}

// segment is an active data segment.
type segment struct {
	offset uint32
	bytes  string
}

// withData returns a guest with another memory and other data.
func withData(tb testing.TB, name string, minPages uint32, data ...segment) []byte {
	tb.Helper()
	var section []byte
	for _, s := range data {
		section = append(appendSigned(append(section, 0, 0x41), int64(int32(s.offset))), 0x0b)
		section = append(binary.AppendUvarint(section, uint64(len(s.bytes))), s.bytes...)
	}
	section = append(binary.AppendUvarint(nil, uint64(len(data))), section...)
	bin := guest(tb, name)
	out := bytes.Clone(bin[:8])
	for p := bin[8:]; len(p) > 0; {
		size, n := binary.Uvarint(p[1:])
		id, body := p[0], p[1+n:1+n+int(size)]
		p = p[1+n+int(size):]
		switch id {
		case 5:
			body = binary.AppendUvarint([]byte{1, 0}, uint64(minPages))
		case 11:
			body = section
		}
		out = append(binary.AppendUvarint(append(out, id), uint64(len(body))), body...)
	}
	return out
}

func appendSigned(out []byte, v int64) []byte {
	for ; v < -64 || v > 63; v >>= 7 {
		out = append(out, byte(v)|0x80)
	}
	return append(out, byte(v)&0x7f)
}

// compileBytes compiles a module that the engine reads.
func compileBytes(tb testing.TB, e *Engine, bin []byte, o ModuleOptions) *Module {
	tb.Helper()
	d, err := e.Decode(bin)
	require.NoError(tb, err)
	m, err := e.Compile(context.Background(), d, o)
	require.NoError(tb, err)
	return m
}

func closeModule(tb testing.TB, m *Module) {
	tb.Helper()
	require.NoError(tb, m.Close(context.Background()))
}

// Modules that differ in one byte of data, or in the size of their memory, share their code. Each has its own data,
// description and limit, and one that is closed takes nothing from the others.
func TestModulesThatDifferInDataShareTheirCode(t *testing.T) {
	dir := t.TempDir()
	e := open(t, Config{CacheDir: dir})
	first := withData(t, "peek", 1, segment{16, "data"})
	modules := [][]byte{
		first,
		withData(t, "peek", 1, segment{16, "dbta"}),
		withData(t, "peek", 3, segment{2 << 16, "more data"}, segment{16, "d"}),
		withData(t, "peek", 1),
		first,
	}
	var opened []*Module
	for i, bin := range modules {
		m := compileBytes(t, e, bin, peekOptions)
		opened = append(opened, m)
		s := e.Stats()
		require.Equal(t, []int64{int64(i) + 1, 1, 1, 1, 1}, []int64{int64(s.Modules), int64(s.Codes), s.Decodings, s.Compiler.Compiled, int64(s.Code.Files)})
		plain, err := Decode(bin)
		require.NoError(t, err)
		known := *m.Info()
		known.FuelExport, known.DepthExport, known.RefusedGrowExport = "", "", ""
		known.Cost, known.LeastBytes, known.InstanceBytes = plain.info.Cost, plain.info.LeastBytes, plain.info.InstanceBytes
		require.Equal(t, plain.info, &known, "described like a module that was read whole")
	}
	require.NoError(t, e.Forget(sha256.Sum256(first)))
	require.Len(t, cacheFiles(t, dir), 1, "others use it")
	closeModule(t, opened[0])
	for i, want := range []string{"dbta", "d\x00\x00\x00", "\x00\x00\x00\x00", "data"} {
		m := opened[i+1]
		t.Cleanup(func() { closeModule(t, m) }) // after the instance
		in := prepare(t, m)
		for range 2 {
			require.Equal(t, want, string(in.Memory()[16:20]), i)
			call(t, in, poke, 17)
			call(t, in, grow, 1)
			_, err := in.Reset()
			require.NoError(t, err)
		}
		require.EqualValues(t, m.Info().Memory.MinPages, call(t, in, pages, 0))
	}
	require.Equal(t, 1, e.Stats().Codes)
	for _, bin := range modules {
		require.NoError(t, e.Forget(sha256.Sum256(bin)))
	}
	require.Empty(t, cacheFiles(t, dir))
}

// A restarted engine finds the code of a module that it never saw, if another one has left it on the disk.
func TestSharedCodeIsFoundOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	for i, data := range []string{"a", "b", "a", "c"} {
		e, err := Open(t.Context(), Config{Slots: 1, CacheDir: dir})
		require.NoError(t, err)
		m := compileBytes(t, e, withData(t, "peek", 1, segment{0, data}), peekOptions)
		require.EqualValues(t, i%2, e.Stats().Code.Hits)
		in, err := m.Prepare(t.Context(), slot(t, e))
		require.NoError(t, err)
		require.EqualValues(t, data[0], call(t, in, peek, 0))
		require.NoError(t, in.Close())
		closeModule(t, m)
		require.Zero(t, e.Stats().Codes)
		if i == 1 { // damaged: it is compiled again, for all
			file := cacheFiles(t, dir)[0]
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(file, flipped(content, len(content)/2), 0o600))
		}
		require.NoError(t, e.Close(t.Context()))
	}
}

// Modules whose code refers to data segments keep their data, and share nothing with modules of other data.
func TestDataThatTheCodeRefersToIsNotSeparate(t *testing.T) {
	e := open(t, Config{})
	m := compileBytes(t, e, guest(t, "memoryinit"), peekOptions)
	t.Cleanup(func() { closeModule(t, m) })
	other := compileBytes(t, e, bytes.Replace(guest(t, "memoryinit"), []byte("more"), []byte("less"), 1), peekOptions)
	t.Cleanup(func() { closeModule(t, other) })
	require.Equal(t, 2, e.Stats().Codes)
	require.EqualValues(t, 'm', call(t, prepare(t, m), peek, 0))
	in := prepare(t, other)
	require.EqualValues(t, 'l', call(t, in, peek, 0))
	require.Equal(t, "data", string(in.Memory()[16:20]))
}

// The engine applies data like wazero: in the same order, and with the same errors.
func TestDataIsAppliedLikeWazero(t *testing.T) {
	e := open(t, Config{})
	runtime := wazero.NewRuntimeWithConfig(t.Context(), compiler.RuntimeConfig())
	t.Cleanup(func() { require.NoError(t, runtime.Close(context.Background())) })
	check := func(minPages uint32, data ...segment) {
		bin := withData(t, "peek", minPages, data...)
		compiled, err := runtime.CompileModule(t.Context(), bin)
		require.NoError(t, err)
		defer compiled.Close(t.Context())
		wanted, wantErr := runtime.InstantiateModule(t.Context(), compiled, wazero.NewModuleConfig().WithName(""))
		for _, fresh := range []bool{false, true} {
			m := compileBytes(t, e, bin, ModuleOptions{Entries: peekOptions.Entries, Fresh: fresh})
			in, err := m.Prepare(t.Context(), slot(t, e))
			if wantErr != nil {
				require.EqualError(t, err, "module: cannot be instantiated: "+wantErr.Error(), "%d %v", minPages, data)
				closeModule(t, m)
				continue
			}
			require.NoError(t, err, "%d %v", minPages, data)
			want, _ := wanted.Memory().Read(0, wanted.Memory().Size())
			require.True(t, bytes.Equal(want, in.Memory()), "%d %v", minPages, data)
			require.NoError(t, in.Close())
			in, _, err = m.Instantiate(t.Context(), soon(), slot(t, e))
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, in.Memory()), "%d %v", minPages, data)
			require.NoError(t, in.Close())
			closeModule(t, m)
		}
		if wanted != nil {
			require.NoError(t, wanted.Close(t.Context()))
		}
	}
	const end = PageBytes
	check(0)
	check(0, segment{0, ""})
	check(0, segment{0, "a"})
	check(1, segment{end, ""})
	check(1, segment{end + 1, ""})
	check(1, segment{end - 1, "a"})
	check(1, segment{end - 1, "ab"})
	check(1, segment{1<<32 - 1, "a"})
	check(1, segment{1 << 31, ""})
	check(1, segment{0, "abcd"}, segment{2, "efgh"}, segment{1, "i"})
	check(1, segment{0, "abcd"}, segment{end, "x"}, segment{1, "i"})
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var data []segment
		for range random.IntN(6) {
			text := make([]byte, random.IntN(40))
			for i := range text {
				text[i] = byte(random.Int())
			}
			data = append(data, segment{uint32(random.IntN(2*end + 20)), string(text)})
		}
		check(2, data...)
	}
}

// Services with the same code come and go concurrently, and each finds its own data.
func TestSharedCodeIsClosedByTheLastUser(t *testing.T) {
	const workers, rounds = 4, 25
	dir := t.TempDir()
	e := open(t, Config{Slots: workers, CacheDir: dir})
	var all sync.WaitGroup
	use := func(worker, round int) error {
		data := fmt.Sprintf("%d of %d", round, worker)
		bin := withData(t, "peek", uint32(1+round%2), segment{16, data})
		d, err := e.Decode(bin)
		if err != nil {
			return err
		}
		m, err := e.Compile(context.Background(), d, peekOptions)
		if err != nil {
			return err
		}
		slot, ok := e.AcquireSlot()
		if !ok {
			return fmt.Errorf("no slot is free")
		}
		in, err := m.Prepare(context.Background(), slot)
		if err != nil {
			return err
		}
		for range 3 {
			if got := string(in.Memory()[16 : 16+len(data)]); got != data {
				return fmt.Errorf("%q finds %q", data, got)
			}
			if out := in.Call(context.Background(), soon(), poke, []uint64{16}); !out.Clean() {
				return out.Err
			}
			if _, err := in.Reset(); err != nil {
				return err
			}
		}
		if err := in.Close(); err != nil {
			return err
		}
		if err := m.Close(context.Background()); err != nil {
			return err
		}
		return e.Forget(sha256.Sum256(bin))
	}
	for worker := range workers {
		all.Go(func() {
			for round := range rounds {
				if err := use(worker, round); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, e.Stats().Codes)
	require.Empty(t, cacheFiles(t, dir))
}

// Code that no open module has is loaded again without reading a module: for one that had it, and for another one.
func TestClosedCodeIsLoadedAgain(t *testing.T) {
	dir := t.TempDir()
	e := open(t, Config{CacheDir: dir})
	use := func(data string) {
		m := compileBytes(t, e, withData(t, "peek", 1, segment{16, data}), peekOptions)
		in, err := m.Prepare(t.Context(), slot(t, e))
		require.NoError(t, err)
		require.EqualValues(t, data[0], call(t, in, peek, 16))
		require.NoError(t, in.Close())
		closeModule(t, m)
		require.Zero(t, e.Stats().Codes)
	}
	for i, data := range []string{"a", "a", "b"} {
		use(data)
		s := e.Stats()
		require.Equal(t, []int64{1, 1, int64(i)}, []int64{s.Decodings, s.Compiler.Compiled, s.Code.Hits})
	}
	file := cacheFiles(t, dir)[0]
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, flipped(content, len(content)/2), 0o600))
	use("c")
	require.EqualValues(t, 2, e.Stats().Compiler.Compiled, "a damaged file is compiled again")
	require.NoError(t, e.Retain())
	use("d")
	require.EqualValues(t, 3, e.Stats().Compiler.Compiled, "a file that is gone is compiled again")
}

// Modules that differ in their code alone have stubs that differ, or wazero would take one for the other.
func TestModulesThatDifferInCodeDoNotShare(t *testing.T) {
	e := open(t, Config{CacheDir: t.TempDir()})
	bin := guest(t, "peek")
	other := bytes.Replace(bin, []byte{0x41, 0xff, 0x01, 0x3a}, []byte{0x41, 0xfe, 0x01, 0x3a}, 1) // poke writes 254
	require.NotEqual(t, bin, other)
	for range 2 { // compiled, and loaded
		for want, bin := range map[byte][]byte{255: bin, 254: other} {
			m := compileBytes(t, e, bin, peekOptions)
			t.Cleanup(func() { closeModule(t, m) })
			in := prepare(t, m)
			call(t, in, poke, 9)
			require.Equal(t, want, in.Memory()[9])
		}
		require.Equal(t, 2, e.Stats().Codes)
	}
}

func TestDescriptionsOfClosedCodeAreBounded(t *testing.T) {
	var codes codeTable
	shared := func(n byte, stubBytes int) *sharedCode {
		return &sharedCode{knownCode: knownCode{id: codeID{n}, rewritten: &Info{}, stub: make([]byte, stubBytes)}}
	}
	const most = maxKnownBytes / 4
	for n := range byte(6) {
		c := shared(n, most)
		codes.add(c)
		require.True(t, codes.unuse(c))
	}
	require.EqualValues(t, maxKnownBytes, codes.bytes)
	for n, want := range []bool{false, false, true, true, true, true} {
		require.Equal(t, want, codes.find(codeID{byte(n)}, 0) != nil, n)
	}
	c := shared(7, maxKnownBytes)
	codes.add(c)
	require.True(t, codes.unuse(c))
	require.Nil(t, codes.find(codeID{7}, 0), "larger than its share")
	c = shared(2, most)
	codes.add(c)
	require.EqualValues(t, 3*most, codes.bytes, "it is open")
	require.NotNil(t, codes.find(codeID{2}, 0))
	require.True(t, codes.unuse(c))
	require.Len(t, codes.known, 4)
	require.Equal(t, 4, codes.order.Len())
}

// Code is shared only by modules that are large enough for it: a smaller one would be refused after a restart.
func TestSmallerModulesDoNotShareTooMuchCode(t *testing.T) {
	var codes codeTable
	codes.add(&sharedCode{knownCode: knownCode{id: codeID{1}, leastBytes: 100}})
	require.NotNil(t, codes.find(codeID{1}, 100))
	require.Nil(t, codes.find(codeID{1}, 99))
	require.Nil(t, codes.acquire(codeID{1}, 99))
	require.Nil(t, codes.acquire(codeID{2}, 100))
}
