package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// otherHost is an Elsewhere: another engine, whose answers change can alter.
type otherHost struct {
	engine       *Engine
	change       func(p *Parcel, file *[]byte)
	asked, codes int
}

func (o *otherHost) Module(_ context.Context, sum [sha256.Size]byte) *Parcel {
	o.asked++
	p, err := o.engine.Parcel(sum)
	if err != nil || p == nil {
		return nil
	}
	if o.change != nil {
		o.change(p, new([]byte))
	}
	return p
}

func (o *otherHost) Code(_ context.Context, p *Parcel, to io.Writer) error {
	o.codes++
	f, err := o.engine.OpenCode(p.Code)
	if err != nil {
		return err
	}
	defer f.Close()
	file, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if o.change != nil {
		o.change(new(Parcel), &file)
	}
	_, err = to.Write(file)
	return err
}

func (o *otherHost) Snapshot(_ context.Context, id SnapshotID) []byte {
	content := o.engine.KeptSnapshot(id)
	if o.change != nil && content != nil {
		p := &Parcel{SnapshotID: id, Snapshot: content}
		o.change(p, new([]byte))
		content = p.Snapshot
	}
	return content
}

// warmHost returns an engine that has compiled and prepared the guest "state", as the other host.
func warmHost(t *testing.T, o ModuleOptions) *otherHost {
	t.Helper()
	e, err := Open(t.Context(), withNote(keepingConfig(t.TempDir())))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close(context.Background())) })
	require.False(t, recalls(t, e, o))
	return &otherHost{engine: e}
}

// newHostOf returns an engine with an empty directory that knows another host.
func newHostOf(t *testing.T, from Elsewhere) *Engine {
	t.Helper()
	cfg := keepingConfig(t.TempDir())
	cfg.Elsewhere = from
	e, err := Open(t.Context(), withNote(cfg))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close(context.Background())) })
	return e
}

// TestModuleThatIsItsOwnCode refuses an answer that would let the receiver wait for itself.
func TestModuleThatIsItsOwnCode(t *testing.T) {
	other := warmHost(t, inputs(stateOptions, 1))
	other.change = func(p *Parcel, _ *[]byte) { p.Code = p.Module }
	e := newHostOf(t, other)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	require.False(t, e.Warm(ctx, sha256.Sum256(guest(t, "state"))))
	require.NoError(t, ctx.Err())
}

// TestNewHostIsWarm serves a module that another host has compiled without reading, compiling or initialising it.
func TestNewHostIsWarm(t *testing.T) {
	o := inputs(stateOptions, 1)
	other := warmHost(t, o)
	e := newHostOf(t, other)
	sum := sha256.Sum256(guest(t, "state"))
	d := e.Outlined(sum, func() ([]byte, error) { return nil, errors.New("the module is read") })
	require.NotNil(t, d)
	require.NotNil(t, e.Foresee(d, o))
	require.True(t, recalls(t, e, o))
	s := e.Stats()
	require.Equal(t, []int64{1, 0}, []int64{s.Warmed, s.Code.Misses})
	require.Equal(t, 1, other.asked)
	require.True(t, e.Warm(t.Context(), sum), "it is here now")
	require.Equal(t, 1, other.codes)

	require.True(t, recalls(t, e, o), "from the disk")
	// With other inputs the code is the same, and the snapshot is another one, which the other host lacks.
	require.False(t, recalls(t, e, inputs(stateOptions, 2)))
	require.False(t, recalls(t, other.engine, inputs(stateOptions, 3)))
	require.True(t, recalls(t, e, inputs(stateOptions, 3)), "the other host has it")
}

// TestOtherHostsCodeIsChecked refuses what another host should not have sent, compiles here, and keeps nothing of it.
func TestOtherHostsCodeIsChecked(t *testing.T) {
	o := inputs(stateOptions, 1)
	for name, change := range map[string]func(p *Parcel, file *[]byte){
		"a flipped bit":          func(_ *Parcel, file *[]byte) { flipByte(*file) },
		"less":                   func(_ *Parcel, file *[]byte) { *file = (*file)[:len(*file)/2] },
		"more":                   func(_ *Parcel, file *[]byte) { *file = append(*file, 1) },
		"another module":         func(p *Parcel, _ *[]byte) { p.Module[0]++ },
		"a name outside":         func(p *Parcel, _ *[]byte) { p.Name = "../" + p.Name },
		"another processor":      func(p *Parcel, _ *[]byte) { p.Name = flipHex(p.Name) },
		"a damaged description":  func(p *Parcel, _ *[]byte) { p.About = []byte("{}") },
		"a description too long": func(p *Parcel, _ *[]byte) { p.About = bytes.Repeat([]byte(" "), 5<<20) },
		"no snapshot":            func(p *Parcel, _ *[]byte) { p.Snapshot = nil },
		"a torn snapshot":        func(p *Parcel, _ *[]byte) { p.Snapshot = p.Snapshot[:len(p.Snapshot)/2] },
		"another snapshot":       func(p *Parcel, _ *[]byte) { p.SnapshotID[9]++; p.Snapshot = bytes.ToUpper(p.Snapshot) },
	} {
		t.Run(name, func(t *testing.T) {
			other := warmHost(t, o)
			other.change = change
			e := newHostOf(t, other)
			damaged := &Parcel{Snapshot: []byte("snapshot")}
			change(damaged, new([]byte))
			require.Equal(t, string(damaged.Snapshot) == "snapshot", recalls(t, e, o), "a snapshot that is damaged is made here")
			require.NotZero(t, other.asked)
			own, err := e.Parcel(sha256.Sum256(guest(t, "state")))
			require.NoError(t, err)
			sound, err := other.engine.Parcel(own.Module)
			require.NoError(t, err)
			own.SnapshotID, own.Snapshot, sound.SnapshotID, sound.Snapshot = SnapshotID{}, nil, SnapshotID{}, nil
			require.Equal(t, sound, own, "it is compiled here")
			work, err := filepath.Glob(filepath.Join(e.cfg.CacheDir, "work", "*", "*", "*"))
			require.NoError(t, err)
			for _, path := range work {
				info, err := os.Stat(path)
				require.NoError(t, err)
				require.True(t, info.IsDir(), "%s is left", path)
			}
			other.change = nil
			require.True(t, recalls(t, e, o), "its own")
		})
	}
}

func flipByte(b []byte) {
	if len(b) > 0 {
		b[len(b)/2] ^= 1
	}
}

func flipHex(name string) string {
	if name == "" || name[0] != '0' {
		return "0" + name[min(1, len(name)):]
	}
	return "1" + name[1:]
}

// TestLikeness differs for programs and options that make other code.
func TestLikeness(t *testing.T) {
	likeness := func(cfg Config) string {
		e, err := Open(t.Context(), cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, e.Close(t.Context())) }()
		text, err := e.Likeness()
		require.NoError(t, err)
		return text
	}
	base := likeness(keepingConfig(t.TempDir()))
	require.Len(t, base, 64)
	require.Equal(t, base, likeness(keepingConfig(t.TempDir())))
	other := keepingConfig(t.TempDir())
	other.Build = "another"
	require.NotEqual(t, base, likeness(other))
	other = keepingConfig(t.TempDir())
	other.StackBytes = 1 << 20
	require.NotEqual(t, base, likeness(other))
	require.Empty(t, likeness(Config{Slots: 1}))
}
