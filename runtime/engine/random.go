package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// RandomExport is an optional export of guests, () -> i32, called once after the
// initialisation. It returns flags for the random numbers that a snapshot does not repeat.
const RandomExport = "vespo_random"

// The flags returned by RandomExport.
const (
	randomSecrets    = 1 << iota // cryptographic random numbers: they are read from the host in each request
	randomGenerators             // pseudo-random numbers: their generators are reseeded in each request
)

// goCompiler is the producer of modules from Go's own toolchain. Its crypto/rand asks the host at each read.
const goCompiler = "Go cmd/compile"

// Repeats describes the random numbers that are the same in every request that starts from the snapshot.
type Repeats struct {
	Secrets    bool // cryptographic ones, as far as the engine can detect
	Generators bool // pseudo-random ones
}

// NoteRandom must be called by host functions that return random bytes.
func (in *Instance) NoteRandom() { in.drewRandom = true }

// Repeats returns the random numbers repeated by the snapshot. Call it after Prepare.
func (m *Module) Repeats() Repeats { return m.repeats }

// judgeRandom determines, after the initialisation of in, what a snapshot of it would
// repeat. A guest that has read no random numbers has no state to repeat. For other guests
// the engine relies on RandomExport, and on knowledge of Go's own toolchain. Otherwise it
// assumes a generator with its seed in memory, such as wasi-libc's arc4random.
func (in *Instance) judgeRandom(ctx context.Context, deadline time.Time) (Repeats, Outcome) {
	if !in.drewRandom {
		return Repeats{}, Outcome{}
	}
	flags, out := in.askRandom(ctx, deadline)
	if !out.Clean() {
		return Repeats{}, out
	}
	if in.module.madeByGo() {
		flags |= randomSecrets
	}
	return Repeats{Secrets: flags&randomSecrets == 0, Generators: flags&randomGenerators == 0}, Outcome{}
}

// askRandom calls RandomExport. It returns no flags for a guest without it.
func (in *Instance) askRandom(ctx context.Context, deadline time.Time) (flags uint32, out Outcome) {
	if !in.module.exports(RandomExport, []rewrite.ValueType{rewrite.I32}) {
		return 0, Outcome{}
	}
	stack := make([]uint64, 1)
	out = in.callExport(ctx, deadline, RandomExport, stack)
	return uint32(stack[0]), out
}

func (m *Module) madeByGo() bool {
	return slices.ContainsFunc(m.info.Producers, func(p string) bool { return strings.HasPrefix(p, goCompiler) })
}
