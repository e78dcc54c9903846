package abi

import (
	"bytes"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// TinyGo's runtime ends a panic that is not recovered in a trap by unreachable. Before that it prints the message to
// standard output, where it would be a part of the answer of a command, as a line that begins with panicPrefix
// (tinygo-org/tinygo: src/runtime/panic.go, src/runtime/runtime_tinygowasm.go). With -panic=trap it prints nothing.
const (
	panicPrefix   = "panic: "
	panicExitCode = 2 // as that of Go's own toolchain
)

// asPanic returns the outcome of a call that has ended in a panic: that of Go's own toolchain, which exits.
func asPanic(out engine.Outcome) engine.Outcome {
	return engine.Outcome{Kind: engine.Exit, ExitCode: panicExitCode, Err: out.Err}
}

// Panicked returns out, or the outcome of a panic if the guest has trapped and its last lines are the message of one.
func (l *Lines) Panicked(out engine.Outcome) engine.Outcome {
	if out.Kind == engine.Trap && l.panicked {
		return asPanic(out)
	}
	return out
}

// Tail keeps the end of a standard output that is an answer, at most MaxLineBytes of it. The zero value is empty.
type Tail struct {
	kept []byte
	cut  bool // kept does not begin with the output
}

// Reset begins a new request.
func (t *Tail) Reset() { t.kept, t.cut = t.kept[:0], false }

// Add adds output.
func (t *Tail) Add(p []byte) {
	if excess := len(t.kept) + len(p) - MaxLineBytes; excess > 0 {
		t.cut = true
		dropped := min(excess, len(t.kept))
		t.kept = append(t.kept[:0], t.kept[dropped:]...)
		p = p[excess-dropped:]
	}
	t.kept = append(t.kept, p...)
}

// Panicked returns out, or the outcome of a panic if the guest has trapped and the message of one ends its output. It
// logs the message.
func (t *Tail) Panicked(out engine.Outcome, log *Lines) engine.Outcome {
	if out.Kind != engine.Trap {
		return out
	}
	begin := bytes.LastIndex(t.kept, []byte("\n"+panicPrefix)) + 1
	if message := t.kept[begin:]; bytes.HasPrefix(message, []byte(panicPrefix)) && (begin > 0 || !t.cut) {
		log.Line(LevelError, bytes.TrimRight(message, "\r\n"))
		return asPanic(out)
	}
	return out
}
