package component

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	bin, err := os.ReadFile(filepath.Join("testdata", name+".wasm"))
	require.NoError(tb, err)
	return bin
}

// all returns the components of a directory of testdata, by name.
func all(tb testing.TB, directory string) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", directory, "*.wasm"))
	require.NoError(tb, err)
	bins := make(map[string][]byte)
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".wasm")
		bins[name] = read(tb, directory+"/"+name)
	}
	require.NotEmpty(tb, bins)
	return bins
}

// border returns the imports and exports of a guest, one a line.
func border(tb testing.TB, guest *Guest) string {
	tb.Helper()
	d, err := rewrite.Decode(guest.Module)
	require.NoError(tb, err)
	var b strings.Builder
	for _, im := range d.Info().Imports {
		fmt.Fprintf(&b, "%s %s %s\n", im.Module, im.Name, im.Signature)
	}
	for _, e := range d.Info().Exports {
		fmt.Fprintf(&b, "> %s", e.Name)
		if e.Kind == rewrite.KindFunction {
			fmt.Fprintf(&b, " %s", e.Signature)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestGuest(t *testing.T) {
	for name, c := range map[string]struct {
		border string
		world  World
	}{
		"http": {
			`local:app/types@0.2.5 [constructor]fields () -> (i32)
local:app/types@0.2.5 [method]fields.text (i32, i32) -> ()
local:app/types@0.2.5 [resource-drop]fields (i32) -> ()
wasi_snapshot_preview1 fd_write (i32, i32, i32, i32) -> (i32)
wasi_snapshot_preview1 fd_write (i32, i32, i32, i32) -> (i32)
> cabi_realloc (i32, i32, i32, i32) -> (i32)
> wasi:http/incoming-handler@0.2#handle (i32) -> (i32)
> cabi_post_wasi:http/incoming-handler@0.2#handle (i32) -> ()
> memory
> _initialize () -> ()
`,
			World{
				Imports: []string{
					"local:app/types@0.2.5", "wasi:io/error@0.2.12", "wasi:io/streams@0.2.12", "wasi:cli/stdin@0.2.12", "wasi:cli/stdout@0.2.12",
					"wasi:cli/stderr@0.2.12", "wasi:clocks/wall-clock@0.2.12", "wasi:filesystem/types@0.2.12", "wasi:filesystem/preopens@0.2.12",
				},
				Exports: []string{"wasi:http/incoming-handler@0.2.5"},
			},
		},
		"init": {
			`wasi:x/y@0.3 make () -> (i32)
wasi:x/y@0.3 [resource-drop]r (i32) -> ()
$root plain () -> ()
> wasi:http/incoming-handler@0.2#handle () -> (i32)
> extra () -> (i32)
> memory
> _initialize () -> ()
> vespo_snapshot () -> ()
`,
			World{
				Imports: []string{"wasi:x/y@0.3.0-rc-2026-03-15", "plain"},
				Exports: []string{"wasi:http/incoming-handler@0.2.3", "extra"},
			},
		},
		"dynamic": {
			`wasi:http/types@0.2 [constructor]fields () -> (i32)
wasi:http/types@0.2 [method]fields.append (i32, i32, i32, i32, i32, i32) -> ()
wasi:http/types@0.2 [constructor]outgoing-response (i32) -> (i32)
wasi:http/types@0.2 [static]response-outparam.set (i32, i32, i32, i32, i64, i32, i32, i32, i32) -> ()
> cabi_realloc (i32, i32, i32, i32) -> (i32)
> wasi:http/incoming-handler@0.2#handle (i32, i32) -> ()
> memory
`,
			World{
				Imports: []string{"wasi:http/types@0.2.6"},
				Exports: []string{"wasi:http/incoming-handler@0.2.6"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			guest, err := Decode(read(t, "accepted/"+name))
			require.NoError(t, err)
			require.Equal(t, c.border, border(t, guest))
			require.Equal(t, c.world, guest.World)
		})
	}
}

// Instances that share a memory, a table or functions with the handler's are part of the guest.
func TestLinkedModulesAreFused(t *testing.T) {
	for name, want := range map[string]string{
		"library":   "> wasi:http/incoming-handler@0.2#handle () -> (i32)\n> memory\n",
		"envmemory": "> wasi:http/incoming-handler@0.2#handle () -> (i32)\n> memory\n",
		"wrongshim": "> wasi:http/incoming-handler@0.2#handle () -> (i32)\n",
	} {
		guest, err := Decode(read(t, "accepted/"+name))
		require.NoError(t, err)
		require.Equal(t, want, border(t, guest))
	}
}

// wit-component's names of guests with the version in the name ("cm32p2") are not those of the contract, and are not needed.
func TestNamesOfGuestsDoNotMatter(t *testing.T) {
	guest, err := Decode(read(t, "accepted/dummy3"))
	require.NoError(t, err)
	text := border(t, guest)
	for _, want := range []string{
		"wasi:http/types@0.3 [static]request.consume-body (i32, i32, i32) -> ()\n",
		"wasi:http/types@0.3 [resource-drop]request-options (i32) -> ()\n",
		"> cabi_post_wasi:http/handler@0.3#handle (i32) -> ()\n",
		"> _initialize () -> ()\n",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "cm32p2")
}

func TestRefused(t *testing.T) {
	wants := map[string]string{
		"utf16":             "strings in UTF-16 are not supported",
		"ownresource":       "defines a resource of its own",
		"owndrop":           "defines a resource of its own",
		"twice":             "core module 0 (\"m\") is instantiated several times",
		"memories":          "core module 1 (\"m\"): has a memory of its own, besides that of another module",
		"order":             "writes into the memory or a table when it is instantiated, after the start function of core module 1 (\"first\")",
		"othermemory":       "not linked to each other (core module 0 (\"m\") besides core module 1 (\"o\"))",
		"allocators":        "two allocators, \"r1\" and \"r2\"",
		"command":           "is a command (it exports wasi:cli/run@0.2.3), not a service: export wasi:http/incoming-handler@0.2",
		"nohandler":         "exports no handler (it exports \"add\")",
		"nothing":           "exports nothing",
		"passedon":          "is a function that the component imports",
		"elsewhere":         "export \"g\" is not a function of core module 0 (\"m\"), as the handler is",
		"composed":          "composed",
		"unfilled":          "calls slot 0 of a table, which no core module fills",
		"cycle":             "passed on more than 64 times",
		"writer":            "does more than fill it",
		"importedcomponent": "import \"c\" is a component",
		"threads":           "the built-in thread.index (threads within a request) is not supported: build without threads",
	}
	bins := all(t, "refused")
	require.Equal(t, len(wants), len(bins))
	for name, bin := range bins {
		t.Run(name, func(t *testing.T) {
			_, err := Decode(bin)
			require.ErrorIs(t, err, ErrUnsupported)
			require.NotEmpty(t, wants[name])
			require.ErrorContains(t, err, wants[name])
		})
	}
}

// The host recognises other guest interfaces by names such as handle_request, which no component can have.
func TestNamesOfOtherInterfacesAreRefused(t *testing.T) {
	bin := bytes.ReplaceAll(read(t, "accepted/init"), []byte("\x05extra"), []byte("\x05ex_ra"))
	_, err := Decode(bin)
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, `export "ex_ra" is not in kebab case`)
}

func TestTrack(t *testing.T) {
	for name, want := range map[string]string{
		"wasi:http/types@0.2.0":               "wasi:http/types@0.2",
		"wasi:http/types@0.2.12":              "wasi:http/types@0.2",
		"wasi:http/types@0.3.0":               "wasi:http/types@0.3",
		"wasi:http/types@0.3.0-rc-2026-03-15": "wasi:http/types@0.3",
		"wasi:http/types@0.2.0-rc-2023-12-05": "wasi:http/types@0.2.0-rc-2023-12-05",
		"wasi:keyvalue/store@0.2.0-draft":     "wasi:keyvalue/store@0.2.0-draft",
		"wasi:logging/logging":                "wasi:logging/logging",
		"wasi:http/types@0.2.":                "wasi:http/types@0.2.",
		"wasi:http/types@0.20.1":              "wasi:http/types@0.20.1",
		"local:app/types@0.2.5":               "local:app/types@0.2.5",
		"":                                    "",
	} {
		require.Equal(t, want, Track(name), name)
	}
}

// check decodes a component and checks what always holds.
func check(tb testing.TB, bin []byte) {
	tb.Helper()
	guest, err := Decode(bin)
	if err != nil {
		var e *Error
		require.ErrorAs(tb, err, &e)
		require.NotEmpty(tb, e.Detail)
		require.Less(tb, len(err.Error()), 3000)
		require.LessOrEqual(tb, e.Offset, len(bin))
		return
	}
	again, err := Decode(bin)
	require.NoError(tb, err)
	require.Equal(tb, guest, again)
	require.True(tb, bytes.HasPrefix(guest.Module, corePreamble))
	require.LessOrEqual(tb, len(guest.Module), 8*len(bin)+1024) // indexes and constants of fused modules have more bytes
	d, err := rewrite.Decode(guest.Module)
	if err != nil {
		return
	}
	for _, im := range d.Info().Imports {
		require.Equal(tb, rewrite.KindFunction, im.Kind)
	}
}

func TestTruncated(t *testing.T) {
	for _, directory := range []string{"accepted", "refused"} {
		for name, bin := range all(t, directory) {
			t.Run(name, func(t *testing.T) {
				_, whole := Decode(bin)
				for n := 0; n < len(bin); n += 1 + len(bin)/1000 {
					if _, err := Decode(bin[:n]); err == nil && whole != nil {
						t.Fatalf("accepted at %d bytes", n)
					}
					check(t, bin[:n])
				}
			})
		}
	}
}

// Each byte of the structure around the core modules is changed in several ways.
func TestMutated(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, directory := range []string{"accepted", "refused"} {
		for _, bin := range all(t, directory) {
			for range 300 {
				changed := bytes.Clone(bin)
				for range 1 + random.IntN(3) {
					changed[len(preamble)+random.IntN(len(bin)-len(preamble)+1)-1] = byte(random.Uint32())
				}
				check(t, changed)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, directory := range []string{"accepted", "refused"} {
		for _, bin := range all(f, directory) {
			f.Add(bin)
		}
	}
	f.Fuzz(func(t *testing.T, bin []byte) { check(t, bin) })
}

func TestKinds(t *testing.T) {
	for name, c := range map[string]struct {
		bin  string
		want error
	}{
		"preamble":         {"\x00asm\x0d\x00", ErrTruncated},
		"section":          {"\x00asm\x0d\x00\x01\x00\x0d\x00", ErrInvalid},
		"long section":     {"\x00asm\x0d\x00\x01\x00\x07\x05\x01", ErrTruncated},
		"rest of section":  {"\x00asm\x0d\x00\x01\x00\x07\x03\x01\x7f\x7f", ErrInvalid},
		"no such function": {"\x00asm\x0d\x00\x01\x00\x08\x04\x01\x01\x00\x05", ErrInvalid},
		"start":            {"\x00asm\x0d\x00\x01\x00\x09\x03\x00\x00\x00", ErrUnsupported},
		"core module":      {"\x00asm\x0d\x00\x01\x00\x01\x03abc", ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(c.bin))
			require.True(t, errors.Is(err, c.want), err)
		})
	}
}
