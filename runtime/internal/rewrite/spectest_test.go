package rewrite

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// wazero includes the WebAssembly test suite. Each of its scripts runs twice here, with
// the original and with the rewritten modules, and every call must have the same result.

type specCommand struct {
	Type, Name, Filename, As string
	Line                     int
	Action                   struct {
		Type, Module, Field string
		Args                []specValue
	}
}

type specValue struct {
	Type  string
	Value any
}

// specRun is one of the two runs of a script.
type specRun struct {
	host    *testHost
	rewrite bool
	modules map[string]specModule
	last    specModule
}

type specModule struct {
	api.Module
	info *Info
}

// specDirs returns the directories of the suite in the module cache.
func specDirs(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	require.NoError(t, err)
	root := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("wazero's source is not complete here: %v", err)
	}
	return []string{filepath.Join(root, "v2", "testdata"), filepath.Join(root, "tail-call", "testdata"), filepath.Join(root, "extended-const", "testdata")}
}

func TestSpecification(t *testing.T) {
	calls := 0
	for _, dir := range specDirs(t) {
		scripts, err := filepath.Glob(filepath.Join(dir, "*.json"))
		require.NoError(t, err)
		for _, script := range scripts {
			if slices.Contains(limitless, filepath.Base(script)) {
				continue
			}
			t.Run(filepath.Base(script), func(t *testing.T) { calls += runSpec(t, script) })
		}
	}
	require.Greater(t, calls, 10_000)
}

// limitless are the scripts about the maximum of a memory, which rewriting removes.
var limitless = []string{"linking.json", "memory_grow.json", "memory_size.json"}

func runSpec(t *testing.T, script string) (calls int) {
	text, err := os.ReadFile(script)
	require.NoError(t, err)
	var file struct{ Commands []specCommand }
	require.NoError(t, json.Unmarshal(text, &file))
	plain, rewritten := newSpecRun(t, script, false), newSpecRun(t, script, true)
	for i, c := range file.Commands {
		where := fmt.Sprintf("%s:%d", filepath.Base(script), c.Line)
		switch c.Type {
		case "module":
			bin, err := os.ReadFile(filepath.Join(filepath.Dir(script), c.Filename))
			require.NoError(t, err)
			name := registeredName(file.Commands[i+1:])
			if !plain.module(t, c.Name, name, bin) {
				return calls // of a feature that is disabled
			}
			require.True(t, rewritten.module(t, c.Name, name, bin), where)
		case "assert_return", "assert_trap", "action":
			if c.Action.Type != "invoke" {
				continue
			}
			want, wantErr := plain.invoke(c)
			got, err := rewritten.invoke(c)
			require.Equal(t, wantErr == nil, err == nil, "%s: %v, %v", where, wantErr, err)
			require.Equal(t, want, got, where)
			calls++
		case "assert_exhaustion":
			_, err := rewritten.invoke(c)
			require.ErrorIs(t, err, errOverflow, where)
		case "assert_invalid", "assert_malformed":
			rewritten.refuse(t, filepath.Join(filepath.Dir(script), c.Filename), where)
		}
	}
	return calls
}

// registeredName returns the name under which the module before the commands is registered, or "".
func registeredName(next []specCommand) string {
	for _, c := range next {
		switch c.Type {
		case "module":
			return ""
		case "register":
			return c.As
		}
	}
	return ""
}

func newSpecRun(t *testing.T, script string, rewrite bool) *specRun {
	r := &specRun{host: newTestHost(t), rewrite: rewrite, modules: map[string]specModule{}}
	lib, err := os.ReadFile(filepath.Join(filepath.Dir(script), "..", "..", "testdata", "spectest.wasm"))
	require.NoError(t, err)
	_, err = r.host.runtime.InstantiateWithConfig(t.Context(), lib, wazero.NewModuleConfig().WithName("spectest"))
	require.NoError(t, err)
	return r
}

// module instantiates a module of the script and reports whether that succeeded.
func (r *specRun) module(t *testing.T, id, name string, bin []byte) bool {
	var m specModule
	var err error
	var d *Decoded
	if r.rewrite {
		o := separating()
		o.MaxTableElements = 1 << 28
		d, err = Decode(bin)
		require.NoError(t, err)
		bin, m.info, err = d.Rewrite(o)
		require.NoError(t, err)
	}
	m.Module, err = r.host.runtime.InstantiateWithConfig(t.Context(), bin, wazero.NewModuleConfig().WithName(name).WithStartFunctions())
	if err != nil {
		t.Logf("%v: %v", r.rewrite, err)
		return false
	}
	if d != nil {
		require.NoError(t, apply(d, m.Module))
	}
	if m.info != nil && m.info.Start {
		_, err = top(m.Module, m.info, options(), m.info.StartExport)
		require.NoError(t, err)
	}
	r.last = m
	r.modules[id] = m
	return true
}

func (r *specRun) invoke(c specCommand) ([]uint64, error) {
	m := r.last
	if c.Action.Module != "" {
		m = r.modules[c.Action.Module]
	}
	if m.info != nil {
		depth := int64(1 << 40) // instances call each other in these scripts, which no host permits
		if c.Type == "assert_exhaustion" {
			depth = options().StackBytes
		}
		m.ExportedGlobal(m.info.DepthExport).(api.MutableGlobal).Set(uint64(depth))
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.bits()...)
	}
	return m.ExportedFunction(c.Action.Field).Call(context.Background(), args...)
}

// bits returns the parameters for a value: lanes of a vector are packed into two words.
func (v specValue) bits() []uint64 {
	lanes, ok := v.Value.([]any)
	if !ok {
		n, _ := strconv.ParseUint(v.Value.(string), 10, 64) // "null" and NaN patterns become zero
		return []uint64{n}
	}
	words := make([]uint64, 2)
	width := 128 / len(lanes)
	for i, lane := range lanes {
		n, _ := strconv.ParseUint(lane.(string), 10, 64)
		words[i*width/64] |= n << (i * width % 64)
	}
	return words
}

// refuse checks that an invalid module does not become valid.
func (r *specRun) refuse(t *testing.T, file, where string) {
	bin, err := os.ReadFile(file)
	if filepath.Ext(file) != ".wasm" {
		return
	}
	require.NoError(t, err)
	if c, err := r.host.runtime.CompileModule(t.Context(), bin); err == nil {
		require.NoError(t, c.Close(t.Context()))
		return // wazero is more lenient
	}
	out, _, err := Rewrite(bin, separating())
	if err != nil {
		return
	}
	c, err := r.host.runtime.CompileModule(t.Context(), out)
	if err == nil {
		require.NoError(t, c.Close(t.Context()))
		t.Errorf("%s became valid", where)
	}
}
