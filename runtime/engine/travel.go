package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tetratelabs/wazero"

	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/imagefile"
)

// Elsewhere has the compiled code and the snapshots of other hosts. Its methods return within bounds of their own. Machine code is executed,
// so what they return must be that of a host which is trusted like this one.
type Elsewhere interface {
	// Module returns the code of a module, or nil if no host has it.
	Module(ctx context.Context, sum [sha256.Size]byte) *Parcel
	// Code writes the file of the code of a parcel.
	Code(ctx context.Context, p *Parcel, to io.Writer) error
	// Snapshot returns a snapshot, or nil if no host has it.
	Snapshot(ctx context.Context, id SnapshotID) []byte
}

// Parcel is the compiled code of a module, as a host with the same Likeness can use it.
type Parcel struct {
	From      string            // the host, for Elsewhere.Code
	Module    [sha256.Size]byte // SHA-256 sum of the module
	Code      [sha256.Size]byte // digest of the rewritten module
	Name      string            // of the file of machine code; it depends on the code, the compiler and the processor
	SizeBytes int64             // of that file
	Sum       [sha256.Size]byte // of that file
	AboutID   [sha256.Size]byte // by which the description is found
	About     []byte            // description of the code
	// Snapshot is one of the module's snapshots, with its id; empty if there is none.
	SnapshotID SnapshotID
	Snapshot   []byte
}

// Likeness identifies what compiled code and snapshots depend on besides the module: the program with the options of its
// rewriter, its compiler, the operating system and the features of the processor. Hosts with the same one can exchange
// them. It is empty if this engine keeps none.
func (e *Engine) Likeness() (string, error) { return e.likeness() }

// likenessOf computes Likeness. wazero names files by the features of the processor that it uses, so the name of a file that was
// made here tells them.
func (e *Engine) likenessOf() (string, error) {
	if e.code == nil || e.cfg.Build == "" {
		return "", nil
	}
	ctx := context.Background()
	dir, err := e.code.files.WorkDir()
	if err != nil {
		return "", fmt.Errorf("engine: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // Close removes the rest
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return "", fmt.Errorf("engine: %w", err)
	}
	r := wazero.NewRuntimeWithConfig(ctx, compiler.RuntimeConfig().WithCompilationCache(cache))
	_, err = r.CompileModule(ctx, smallestModule())
	if err = errors.Join(err, r.Close(ctx), cache.Close(ctx)); err != nil {
		return "", fmt.Errorf("engine: %w", err)
	}
	made, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(made) != 1 {
		return "", fmt.Errorf("engine: wazero made %d files of compiled code and not 1", len(made))
	}
	name, err := filepath.Rel(dir, made[0])
	if err != nil {
		return "", fmt.Errorf("engine: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %s", e.program, runtime.GOOS, runtime.GOARCH, filepath.ToSlash(name)))
	return hex.EncodeToString(sum[:]), nil
}

// smallestModule returns a module with one function, which does nothing.
func smallestModule() []byte {
	return []byte("\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x0a\x04\x01\x02\x00\x0b")
}

// Parcel returns the compiled code of a module by its SHA-256 sum, for another host. It returns nil if it is not on disk.
func (e *Engine) Parcel(sum [sha256.Size]byte) (*Parcel, error) {
	if e.code == nil || e.cfg.Build == "" {
		return nil, nil
	}
	x, ok, err := e.code.files.Export(sum)
	if !ok || err != nil {
		return nil, err
	}
	p := &Parcel{
		Module:    sum,
		Code:      x.Code,
		Name:      x.Name,
		SizeBytes: x.SizeBytes,
		Sum:       x.Sum,
		AboutID:   x.AboutID,
		About:     x.About,
	}
	if id := SnapshotID(x.Snapshot); id != (SnapshotID{}) {
		if p.Snapshot = e.KeptSnapshot(id); p.Snapshot != nil {
			p.SnapshotID = id
		}
	}
	return p, nil
}

// KeptSnapshot returns the content of a snapshot on disk, for another host, or nil.
func (e *Engine) KeptSnapshot(id SnapshotID) []byte {
	if e.code == nil || !e.cfg.KeepSnapshots {
		return nil
	}
	content, ok := e.code.files.Snapshot(codecache.Digest(id))
	if !ok {
		return nil
	}
	return content
}

// OpenCode opens the file of a code on disk, for another host. The error matches fs.ErrNotExist if it is not there.
func (e *Engine) OpenCode(code [sha256.Size]byte) (*os.File, error) {
	if e.code == nil {
		return nil, os.ErrNotExist
	}
	return e.code.files.OpenCode(code)
}

// Warm gets the compiled code of a module from another host, if it is not on disk here. It reports whether it is now.
func (e *Engine) Warm(ctx context.Context, sum [sha256.Size]byte) bool {
	if e.cfg.Elsewhere == nil || e.code == nil || e.cfg.Build == "" {
		return false
	}
	release, err := e.warming.acquire(ctx, sum)
	if err != nil {
		return false
	}
	defer release()
	if e.code.files.HasModule(sum) {
		return true
	}
	p := e.cfg.Elsewhere.Module(ctx, sum)
	if p == nil {
		return false
	}
	if err := e.adoptParcel(ctx, sum, p); err != nil {
		e.cfg.Log.Debug("compiled code of another host cannot be used, and is made here", slog.Any("error", err))
		return false
	}
	e.warmed.Add(1)
	return true
}

func (e *Engine) adoptParcel(ctx context.Context, sum [sha256.Size]byte, p *Parcel) error {
	if p.Module != sum {
		return errors.New("it is the code of another module")
	}
	if p.Code == sum { // which is being warmed: it would wait for itself
		return errors.New("the module is said to be its own code")
	}
	x := &codecache.Exported{
		Code:      p.Code,
		Name:      p.Name,
		SizeBytes: p.SizeBytes,
		Sum:       p.Sum,
		AboutID:   p.AboutID,
		About:     p.About,
	}
	release, err := e.warming.acquire(ctx, p.Code) // one goroutine fetches the file
	if err != nil {
		return err
	}
	defer release()
	if err := e.code.files.Import(sum, x, func(to io.Writer) error { return e.cfg.Elsewhere.Code(ctx, p, to) }); err != nil {
		return err
	}
	if p.Snapshot == nil || !e.cfg.KeepSnapshots {
		return nil
	}
	return e.adoptSnapshot(p.SnapshotID, codecache.Key{Module: sum, Code: p.Code}, p.Snapshot)
}

// adoptSnapshot puts a snapshot of another host into the cache. Its user checks the rest.
func (e *Engine) adoptSnapshot(id SnapshotID, key codecache.Key, content []byte) error {
	head, err := imagefile.DecodeHead(content)
	switch {
	case err != nil:
		return err
	case head.Key != id:
		return errors.New("it is a snapshot of something else")
	case head.Clock > e.clock(): // the clocks of both hosts differ: it is made here
		return nil
	}
	e.code.files.Use(key)
	return e.code.files.Keep(codecache.Digest(id), key, content)
}

// fetchSnapshot gets the module's snapshot from another host, if it is not on disk here.
func (m *Module) fetchSnapshot(key codecache.Digest) {
	e := m.engine
	if e.cfg.Elsewhere == nil || e.code.files.HasSnapshot(key) || !e.code.files.Has(m.currentCode().file) {
		return
	}
	content := e.cfg.Elsewhere.Snapshot(context.Background(), SnapshotID(key))
	if content == nil {
		return
	}
	if err := e.adoptSnapshot(SnapshotID(key), e.useOf(m), content); err != nil {
		e.cfg.Log.Debug("a snapshot of another host cannot be used, and is made here", slog.Any("error", err))
	}
}
