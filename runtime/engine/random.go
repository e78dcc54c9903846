package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// RandomExport is an optional export of guests, () -> i32, called once after the initialisation. It returns flags for the
// random numbers that a snapshot does not repeat.
const RandomExport = "vespo_random"

// The flags that RandomExport returns.
const (
	randomSecrets    = 1 << iota // cryptographic random numbers: they are drawn from the host in each request
	randomGenerators             // pseudo-random numbers: their generators are seeded anew for each request
)

// goCompiler is the producer of modules that Go's own toolchain makes. Its crypto/rand asks the host at each read.
const goCompiler = "Go cmd/compile"

// Repeats says which random numbers would be, or are, the same in every request that starts from the snapshot.
type Repeats struct {
	Secrets    bool // cryptographic ones, as far as the engine can tell
	Generators bool // pseudo-random ones
}

// NoteRandom is called by host functions that return random bytes.
func (in *Instance) NoteRandom() { in.drewRandom = true }

// Repeats describes the random numbers of the snapshot; after Prepare.
func (m *Module) Repeats() Repeats { return m.repeats }

// judgeRandom decides, after the initialisation of in, what a snapshot of it would repeat. A guest that has drawn no random
// numbers has no state to repeat. Of any other the engine knows what the guest reports by RandomExport, and what Go's own
// toolchain does; else it assumes that a generator such as wasi-libc's arc4random holds its seed in memory.
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

// askRandom calls RandomExport. A guest without it reports nothing.
func (in *Instance) askRandom(ctx context.Context, deadline time.Time) (flags uint32, out Outcome) {
	isExport := func(e rewrite.Export) bool {
		return e.Name == RandomExport && e.Kind == rewrite.KindFunction && len(e.Signature.Params) == 0 &&
			slices.Equal(e.Signature.Results, []rewrite.ValueType{rewrite.I32})
	}
	if !slices.ContainsFunc(in.module.info.Exports, isExport) {
		return 0, Outcome{}
	}
	stack := make([]uint64, 1)
	in.begin(ctx, deadline)
	err := in.mod.ExportedFunction(RandomExport).CallWithStack(&in.context, stack)
	out = in.end(err)
	in.TakeGuestTime() // no request's
	return uint32(stack[0]), out
}

func (m *Module) madeByGo() bool {
	return slices.ContainsFunc(m.info.Producers, func(p string) bool { return strings.HasPrefix(p, goCompiler) })
}
