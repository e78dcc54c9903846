package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/imagefile"
	"github.com/vespo-dev/vespo/runtime/internal/snapshot"
)

// HostState is implemented by a Module.Shared whose state can be kept on disk with the snapshot. MarshalBinary returns an
// error for a state that cannot. After an error of UnmarshalBinary the state is as before.
type HostState interface {
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// Flags of a snapshot on disk.
const (
	keptSecrets    = 1 << iota // Repeats.Secrets
	keptGenerators             // Repeats.Generators
)

// clockOrigin is the origin of the guests' monotonic clock. A guest that starts from a snapshot on disk must not see its
// clock go back, so the clock goes on while the server is stopped.
func clockOrigin(now time.Time) time.Time {
	since := now.Sub(time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC))
	return now.Add(-max(0, since)) // with the monotonic reading of now
}

// clock returns the reading of the guests' monotonic clock.
func (e *Engine) clock() int64 { return int64(time.Since(e.epoch)) }

// SnapshotID is the digest of everything that a snapshot on disk depends on.
type SnapshotID [sha256.Size]byte

// SnapshotID returns the id of the module's snapshot on disk. It returns false if none is kept.
func (m *Module) SnapshotID() (SnapshotID, bool) {
	fresh, _ := m.Fresh()
	id, ok := m.snapshotKey()
	return SnapshotID(id), ok && !fresh
}

func (m *Module) snapshotKey() (codecache.Digest, bool) {
	e, o := m.engine, &m.opts
	if e.code == nil || e.cfg.Build == "" || !e.cfg.KeepSnapshots || o.Inputs == [sha256.Size]byte{} {
		return codecache.Digest{}, false
	}
	id := codecache.Digest(sha256.Sum256(fmt.Appendf(nil, "snapshot %s %x %x %d %d %t %t %q %q %x", e.program, m.sum, m.currentCode().file,
		m.limit, o.WorkLimit, o.Fresh, o.RepeatSecrets, o.Init, o.Entries, o.Inputs)))
	program := e.programID()
	copy(id[:], program[:])
	return id, true
}

// programID identifies the program and its options in the ids of its snapshots.
func (e *Engine) programID() (id [8]byte) {
	sum := sha256.Sum256([]byte(e.program))
	copy(id[:], sum[:])
	return id
}

// dropForeignSnapshots removes the snapshots of other programs, such as an older version of this one.
func (e *Engine) dropForeignSnapshots() error {
	if e.cfg.Build == "" || !e.cfg.KeepSnapshots {
		return nil
	}
	program := e.programID()
	return e.code.files.RetainSnapshots(func(id codecache.Digest) bool { return bytes.HasPrefix(id[:], program[:]) })
}

// recall makes the snapshot on disk that of the module, and maps it. It returns false if there is none that can be used:
// the guest must be initialised. The instance must be new.
func (in *Instance) recall() (ok bool, err error) {
	m := in.module
	key, ok := m.snapshotKey()
	if !ok {
		return false, nil
	}
	m.fetchSnapshot(key)
	content, ok := m.engine.code.files.Snapshot(key)
	if !ok {
		return false, nil
	}
	image, file, err := m.readSnapshot(key, content)
	if err != nil {
		return false, m.dropSnapshot(key, err)
	}
	m.repeats = repeatsOf(&file.Head)
	m.adopt(image, file.MemoryBytes, file.Globals)
	m.engine.recalled.Add(1)
	return true, in.restore()
}

func repeatsOf(head *imagefile.Head) Repeats {
	return Repeats{Secrets: head.Flags&keptSecrets != 0, Generators: head.Flags&keptGenerators != 0}
}

// dropSnapshot removes a snapshot that cannot be used.
func (m *Module) dropSnapshot(key codecache.Digest, reason error) error {
	m.engine.cfg.Log.Warn("a snapshot on disk cannot be used, and is made anew", slog.Any("error", reason))
	return m.engine.code.files.DropSnapshot(key)
}

// decodeSnapshot decodes and checks the content of a snapshot on disk.
func (m *Module) decodeSnapshot(key codecache.Digest, content []byte) (*imagefile.Snapshot, error) {
	file, err := imagefile.Decode(content)
	if err != nil {
		return nil, err
	}
	if err := m.checkHead(key, &file.Head); err != nil {
		return nil, err
	}
	if len(file.Globals) != len(m.info.MutableGlobals) {
		return nil, errUnfit
	}
	return file, nil
}

var errUnfit = errors.New("it does not fit the module")

// checkHead checks the head of a snapshot on disk.
func (m *Module) checkHead(key codecache.Digest, head *imagefile.Head) error {
	switch {
	case head.Key != key:
		return errors.New("it is a snapshot of something else")
	case head.Clock > m.engine.clock():
		return errors.New("the clock of this machine was set back since")
	case head.MemoryBytes > m.limit:
		return errUnfit
	}
	return nil
}

// readSnapshot makes an image of the content of a snapshot on disk. The state of host functions is set only if all else is right.
func (m *Module) readSnapshot(key codecache.Digest, content []byte) (*snapshot.Image, *imagefile.Snapshot, error) {
	file, err := m.decodeSnapshot(key, content)
	if err != nil {
		return nil, nil, err
	}
	image, err := m.engine.restorer.Rebuild(int(file.MemoryBytes), file.Pieces)
	if err != nil {
		return nil, nil, err
	}
	if err := m.setHostState(file.Host); err != nil {
		return nil, nil, errors.Join(err, image.Close())
	}
	return image, file, nil
}

func (m *Module) setHostState(state []byte) error {
	switch s := m.Shared.(type) {
	case HostState:
		return s.UnmarshalBinary(state)
	case nil:
		if len(state) == 0 {
			return nil
		}
	}
	return errors.New("it has a state of host functions that the module does not have")
}

// hostState returns the state of host functions. It returns false if it cannot be kept.
func (m *Module) hostState() (state []byte, ok bool) {
	switch s := m.Shared.(type) {
	case HostState:
		state, err := s.MarshalBinary()
		return state, err == nil
	case nil:
		return nil, true
	}
	return nil, false
}

// keep writes the snapshot to the disk, so that the next cold start need not initialise the guest. That is a shortcut
// only, so an error goes to the log.
func (m *Module) keep() {
	key, ok := m.snapshotKey()
	if !ok || m.image == nil {
		return
	}
	host, ok := m.hostState()
	if !ok {
		return
	}
	file := imagefile.Snapshot{
		Head: imagefile.Head{
			Key:         key,
			Clock:       m.engine.clock(),
			MemoryBytes: m.memoryBytes,
			Outline:     m.outline,
		},
		Globals: m.globals,
		Host:    host,
		Pieces:  m.image.Pieces(),
	}
	if m.repeats.Secrets {
		file.Flags |= keptSecrets
	}
	if m.repeats.Generators {
		file.Flags |= keptGenerators
	}
	if err := m.engine.code.files.Keep(key, m.engine.useOf(m), imagefile.Encode(&file)); err != nil {
		m.engine.cfg.Log.Warn("a snapshot cannot be kept on disk; the next cold start takes longer", slog.Any("error", err))
	}
}

// useOf returns the use of compiled code by a module.
func (e *Engine) useOf(m *Module) codecache.Key {
	return codecache.Key{Module: m.sum, Code: m.currentCode().file}
}

// ForgetSnapshot removes a snapshot from the disk, if it is there. Open modules are not affected.
func (e *Engine) ForgetSnapshot(id SnapshotID) error {
	if e.code == nil {
		return nil
	}
	return e.code.files.DropSnapshot(codecache.Digest(id))
}
