package abi

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

var errTrap = errors.New("wasm error: unreachable")

func TestLinesOfAPanic(t *testing.T) {
	trap := engine.Outcome{Kind: engine.Trap, Err: errTrap}
	panicked := engine.Outcome{Kind: engine.Exit, ExitCode: 2, Err: errTrap}
	for _, c := range []struct {
		name   string
		writes []string
		want   []string
		out    engine.Outcome
	}{
		{"nothing", nil, nil, trap},
		{"other lines", []string{"a panic: no\n", "panic"}, []string{"0 a panic: no", "0 panic"}, trap},
		{"in pieces", []string{"before\npan", "ic: the", " reason\nsecond\n"}, []string{"0 before", "2 panic: the reason", "2 second"}, panicked},
		{"without a line end", []string{"panic: x"}, []string{"2 panic: x"}, panicked},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, got := newLines(LevelInfo)
			for _, w := range c.writes {
				_, _ = l.Write([]byte(w))
			}
			l.Flush()
			require.ElementsMatch(t, c.want, *got)
			require.Equal(t, c.out, l.Panicked(trap))
			for _, kind := range []engine.Kind{engine.OK, engine.Deadline, engine.OutOfMemory, engine.StackOverflow} {
				other := engine.Outcome{Kind: kind, Err: errTrap}
				require.Equal(t, other, l.Panicked(other), "only a trap is the end of a panic")
			}
			l.Reset(got.log, LevelInfo)
			require.Equal(t, trap, l.Panicked(trap), "in the next request")
		})
	}
}

func TestTailOfAPanic(t *testing.T) {
	trap := engine.Outcome{Kind: engine.Trap, Err: errTrap}
	panicked := engine.Outcome{Kind: engine.Exit, ExitCode: 2, Err: errTrap}
	long := strings.Repeat("x", MaxLineBytes)
	for _, c := range []struct {
		name   string
		writes []string
		want   string
	}{
		{"nothing", nil, ""},
		{"an answer", []string{"a panic: no\n"}, ""},
		{"alone", []string{"panic: the reason\n"}, "panic: the reason"},
		{"in pieces, several lines", []string{"hello\n", "pan", "ic: the reason\nsecond", "\r\n"}, "panic: the reason\nsecond"},
		{"after a long answer", []string{long + long + "\n", "panic: the reason\n"}, "panic: the reason"},
		{"after many writes", append(strings.SplitAfter(strings.Repeat("line\n", 3000), "\n"), "panic: the reason\n"), "panic: the reason"},
		{"the last of two", []string{"panic: first\n", "panic: second\n"}, "panic: second"},
		{"too long", []string{"panic: " + long}, ""},
		{"the middle of a line at the cut", []string{"x" + "panic: " + long[7:]}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tail Tail
			for _, w := range c.writes {
				tail.Add([]byte(w))
			}
			require.LessOrEqual(t, len(tail.kept), MaxLineBytes)
			l, got := newLines(LevelError)
			ok := engine.Outcome{}
			require.Equal(t, ok, tail.Panicked(ok, l))
			require.Empty(t, *got)
			if c.want == "" {
				require.Equal(t, trap, tail.Panicked(trap, l))
				require.Empty(t, *got)
				return
			}
			require.Equal(t, panicked, tail.Panicked(trap, l))
			require.Equal(t, []string{"2 " + c.want}, []string(*got))
			tail.Reset()
			require.Equal(t, trap, tail.Panicked(trap, l), "in the next request")
		})
	}
}
