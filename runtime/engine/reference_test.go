package engine

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recalled prepares a module from a reference, checks its state, and closes it. It returns the number of reads.
func recalled(t *testing.T, e *Engine, r Reference, bin []byte, o ModuleOptions) (reads int) {
	t.Helper()
	d, err := e.Recall(t.Context(), r, func() ([]byte, error) { reads++; return bin, nil })
	require.NoError(t, err)
	m, err := e.Compile(t.Context(), d, o)
	require.NoError(t, err)
	in, err := m.Prepare(t.Context(), slot(t, e))
	require.NoError(t, err)
	require.Equal(t, "as it was", string(in.Memory()[16:25]))
	require.EqualValues(t, 10, call(t, in, get, 0))
	require.NoError(t, in.Close())
	closeModule(t, m)
	return reads
}

// A module is read again only if something is missing: its code, the description of it, or the snapshot.
func TestModulesAreRecalledWithoutTheirBytes(t *testing.T) {
	dir := t.TempDir()
	e := open(t, keepingConfig(dir))
	bin, o := guest(t, "state"), inputs(stateOptions, 1)
	r := decoded(t, bin).Reference()
	require.Equal(t, 1, recalled(t, e, r, bin, o), "nothing is known")
	decodings := e.Stats().Decodings
	for range 3 {
		require.Zero(t, recalled(t, e, r, bin, o))
	}
	require.Equal(t, decodings, e.Stats().Decodings)
	require.Equal(t, 1, recalled(t, e, r, bin, stateOptions), "it is initialised")
	fresh := o
	fresh.Fresh = true
	require.Equal(t, 1, recalled(t, e, r, bin, fresh))
	spoil := func(name string, change func(content []byte) []byte) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, name, "*"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		content, err := os.ReadFile(files[0])
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(files[0], change(content), 0o600))
	}
	for _, name := range []string{snapshotsOf, codeOf, aboutOf} {
		spoil(name, func(content []byte) []byte { return content[:len(content)/2] })
		require.NotZero(t, recalled(t, e, r, bin, o), name)
		require.Zero(t, recalled(t, e, r, bin, o), name)
		spoil(name, func(content []byte) []byte { return append(bytes.Clone(content), 0) })
		require.NotZero(t, recalled(t, e, r, bin, o), name)
		require.Zero(t, recalled(t, e, r, bin, o), name)
	}
}

// Directories of the cache.
const (
	snapshotsOf = "snapshots"
	codeOf      = "code"
	aboutOf     = "about"
)

// Damage of a file that was loaded before is found at any place: by the cache, or by wazero in the machine code.
func TestCodeDamagedAfterTheFirstLoadIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	e := open(t, keepingConfig(dir))
	bin, o := guest(t, "state"), inputs(stateOptions, 1)
	r := decoded(t, bin).Reference()
	recalled(t, e, r, bin, o)
	files := cacheFiles(t, dir)
	require.Len(t, files, 1)
	good, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for i := 0; i < len(good); i += 1 + i/16 {
		require.NoError(t, os.WriteFile(files[0], flipped(good, i), 0o600))
		require.Equal(t, 1, recalled(t, e, r, bin, o), "byte %d of %d", i, len(good))
		again, err := os.ReadFile(files[0])
		require.NoError(t, err)
		require.Equal(t, good, again)
	}
}

func TestRecalledModulesThatChangedAreRefused(t *testing.T) {
	e := open(t, keepingConfig(t.TempDir()))
	bin := guest(t, "state")
	r := decoded(t, bin).Reference()
	recalled(t, e, r, bin, stateOptions)
	for _, read := range []func() ([]byte, error){
		func() ([]byte, error) { return guest(t, "start"), nil },
		func() ([]byte, error) { return nil, errors.New("the disk fails") },
	} {
		d, err := e.Recall(t.Context(), r, read)
		require.NoError(t, err)
		m, err := e.Compile(t.Context(), d, stateOptions)
		require.NoError(t, err)
		_, err = m.Prepare(t.Context(), slot(t, e))
		require.Error(t, err)
		var invalid *ModuleError
		require.NotErrorAs(t, err, &invalid, "the module is not at fault")
		closeModule(t, m)
	}
}

// A start of the server reads many modules to validate them, and compiles none whose code is known.
func TestModulesWithKnownCodeAreKeptShortly(t *testing.T) {
	dir, bin := t.TempDir(), guest(t, "state")
	first, err := Open(t.Context(), withNote(keepingConfig(dir)))
	require.NoError(t, err)
	recalls(t, first, inputs(stateOptions, 1))
	require.NoError(t, first.Close(t.Context()))
	e := open(t, keepingConfig(dir))
	d, err := e.Decode(bin)
	require.NoError(t, err)
	require.Nil(t, d.module)
	kept := e.decoded.kept[d.sum]
	require.NotNil(t, kept.module)
	require.LessOrEqual(t, time.Until(kept.until), maxOutlineTime)
}
