package rewrite

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// rebuilt returns a module with another payload of one of its sections, which is appended if there is none.
func rebuilt(t *testing.T, bin []byte, id sectionID, payload []byte) []byte {
	t.Helper()
	out, found := bytes.Clone(preambleModule), false
	r := &reader{bin: bin, pos: len(preambleModule), end: len(bin)}
	for r.more() {
		section := sectionID(r.byte())
		s := r.sub(int(r.u32()))
		require.NoError(t, r.err)
		body := bin[s.pos:s.end]
		if section == id {
			body, found = payload, true
		}
		out = appendSection(out, section, body)
	}
	if !found {
		out = appendSection(out, id, payload)
	}
	return out
}

func separating() Options {
	o := options()
	o.Separate = true
	return o
}

// checkShared checks what the host relies on: a module whose Split has the CodeID of a module that was decoded and
// rewritten is valid, too, becomes the same module, and has the description that Separate.Info returns.
func checkShared(t *testing.T, bin, other []byte) (shared bool) {
	t.Helper()
	first, err := Decode(bin)
	require.NoError(t, err)
	split := Split(other)
	if first.Separate() == nil || split == nil || split.ID != first.Separate().ID {
		return false
	}
	second, err := Decode(other)
	require.NoError(t, err, "it has the code of a valid module")
	require.NotNil(t, second.Separate())
	require.Equal(t, second.Info(), split.Info(first.Info()))
	o := separating()
	one, oneInfo, oneErr := first.Rewrite(o)
	two, twoInfo, twoErr := second.Rewrite(o)
	if len(other) >= len(bin) {
		require.Equal(t, oneErr == nil, twoErr == nil)
	}
	if oneErr != nil || twoErr != nil {
		return true
	}
	require.True(t, bytes.Equal(one, two))
	require.Equal(t, twoInfo, split.Info(oneInfo))
	require.LessOrEqual(t, oneInfo.LeastBytes, min(len(bin), len(other)))
	return true
}

// richModule returns a module with each kind of section.
func richModule() []byte {
	b := newModule()
	b.imports("host", "f", signature("i", "i"))
	f := b.function(signature("i", "i"), []localGroup{{n: 2, typ: I64}}, code{opLocalGet, 0, opMemorySize, 0, opI32Add})
	b.export("handle", f)
	b.global(I32, true, code{opI32Const, 7})
	b.memory = []byte{1, 2, 9}
	b.tables = [][]byte{{byte(FuncRef), 0, 3}}
	b.elements = [][]byte{{0, opI32Const, 0, opEnd, 1, 1}}
	b.data = [][]byte{{0, opI32Const, 5, opEnd, 3, 'a', 'b', 'c'}, {0, opI32Const, 6, opEnd, 1, 'd'}}
	b.custom = nameSection(map[uint32]string{1: "handle"})
	return append(b.bytes(), section(sectionCustom, append([]byte{5}, "other text"...)...)...)
}

// Each single byte of a module is changed to several values. What is not data, the size of the memory or an unknown custom
// section changes the CodeID, or makes the module invalid.
func TestOnlyDataIsSeparate(t *testing.T) {
	state, err := os.ReadFile("testdata/state.wasm")
	require.NoError(t, err)
	for name, bin := range map[string][]byte{"rich": richModule(), "state": state} {
		t.Run(name, func(t *testing.T) {
			separate := make([]bool, len(bin)) // bytes that may be changed
			r := &reader{bin: bin, pos: len(preambleModule), end: len(bin)}
			for r.more() {
				id := sectionID(r.byte())
				s := r.sub(int(r.u32()))
				require.NoError(t, r.err)
				from := s.pos
				if name := ""; id == sectionCustom {
					name = s.name("name")
					if name == "name" || name == "producers" {
						continue
					}
				} else if id != sectionMemory && id != sectionData {
					continue
				}
				for i := from; i < s.end; i++ {
					separate[i] = true
				}
			}
			shared := 0
			for i := range bin {
				for _, change := range []byte{1, 2, 0x20, 0x80, 0xff} {
					other := bytes.Clone(bin)
					other[i] ^= change
					if checkShared(t, bin, other) {
						shared++
						require.True(t, separate[i], "byte %#x", i)
					}
				}
			}
			require.Positive(t, shared)
		})
	}
}

func TestSplit(t *testing.T) {
	rich := richModule()
	data := func(section ...byte) []byte {
		return rebuilt(t, rebuilt(t, rich, sectionData, section), sectionDataCount, section[:1])
	}
	for name, c := range map[string]struct {
		other  []byte
		shared bool
	}{
		"no data":         {data(0), true},
		"more data":       {data(3, 0, opI32Const, 0, opEnd, 1, 'x', 2, 0, opI32Const, 0, opEnd, 0, 0, opI32Const, 0x7f, opEnd, 1, 'y'), true},
		"more memory":     {rebuilt(t, rich, sectionMemory, []byte{1, 0, 0xff, 0x7f}), true},
		"unknown section": {append(bytes.Clone(rich), section(sectionCustom, 1, 'x', 'y')...), true},
		"passive data":    {data(1, 1, 1, 'x'), false},
		"computed offset": {data(1, 0, opI32Const, 0, opI32Const, 0, opI32Add, opEnd, 1, 'x'), false},
		"global offset":   {data(1, 0, opGlobalGet, 0, opEnd, 1, 'x'), false},
		"shared memory":   {rebuilt(t, rich, sectionMemory, []byte{1, 3, 2, 9}), false},
		"no memory":       {rebuilt(t, rich, sectionMemory, []byte{0}), false},
		"names":           {append(bytes.Clone(rich), section(sectionCustom, append([]byte{4}, "name"...)...)...), false},
		"truncated data":  {data(1, 0, opI32Const, 0, opEnd, 2, 'x'), false},
		"excess data":     {data(0, 0), false},
		"wrong count":     {rebuilt(t, rich, sectionDataCount, []byte{3}), false},
		"another memory":  {data(1, 2, 1, opI32Const, 0, opEnd, 1, 'x'), false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.shared, checkShared(t, rich, c.other)) })
	}
}

// Code that refers to data segments is rewritten with them.
func TestCodeWithReferencesToDataIsWhole(t *testing.T) {
	b := newModule()
	b.memory = []byte{0, 1}
	b.function(signature("", ""), nil, code{opI32Const, 0, opI32Const, 0, opI32Const, 1, prefixMisc, byte(opMemoryInit & 0xff), 1, 0})
	b.data = [][]byte{{0, opI32Const, 0, opEnd, 1, 'x'}, {0, opI32Const, 0, opEnd, 1, 'y'}}
	bin := b.bytes()
	require.NotNil(t, Split(bin))
	d, err := Decode(bin)
	require.NoError(t, err)
	require.Nil(t, d.Separate())
	out, _, err := d.Rewrite(separating())
	require.NoError(t, err)
	whole, _, err := d.Rewrite(options())
	require.NoError(t, err)
	require.Equal(t, whole, out)
}

func TestLeastBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		l := costLimit{random.Int64N(1 << 30), 1 + random.Int64N(1<<10), math.MaxInt64}
		cost := random.Int64N(1 << 40)
		least := l.leastBytes(cost)
		require.LessOrEqual(t, cost, l.of(least))
		if least > 0 {
			require.Greater(t, cost, l.of(least-1))
		}
	}
}

// FuzzSplit replaces a section of a valid module.
func FuzzSplit(f *testing.F) {
	f.Add(richModule(), byte(sectionData), []byte{0})
	f.Add(richModule(), byte(sectionMemory), []byte{1, 0, 5})
	f.Add(richModule(), byte(sectionDataCount), []byte{2})
	f.Add(richModule(), byte(sectionCustom), []byte{0})
	f.Fuzz(func(t *testing.T, bin []byte, id byte, payload []byte) {
		if _, err := Decode(bin); err != nil {
			return
		}
		checkShared(t, bin, rebuilt(t, bin, sectionID(id), payload))
	})
}
