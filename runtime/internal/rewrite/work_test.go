package rewrite

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWorkOfTheCompilerIsBounded has functions that would keep the compiler busy, each at its limit and beyond. To compile what is at a limit takes
// some seconds, so that is not done here.
func TestWorkOfTheCompilerIsBounded(t *testing.T) {
	repeat := func(n int, c ...byte) code { return bytes.Repeat(c, n) }
	locals := func(n uint32) []localGroup { return []localGroup{{n, I32}} }
	for name, test := range map[string]struct {
		functions int
		locals    []localGroup
		most      int // that is accepted
		body      func(n int) code
		want      string
	}{
		"blocks": {most: maxBlocks, body: func(n int) code { return repeat(n, opBlock, emptyBlock, opEnd) }, want: "branches too much: 24001 blocks"},
		"nested": {most: maxBlocks, body: func(n int) code { return append(repeat(n, opBlock, emptyBlock), repeat(n, opEnd)...) }, want: "branches too much"},
		"ifs":    {most: maxBlocks / 3, body: func(n int) code { return repeat(n, opI32Const, 1, opIf, emptyBlock, opEnd) }, want: "branches too much"},
		"br_ifs": {most: maxBlocks, body: func(n int) code { return repeat(n, opI32Const, 0, opBrIf, 0) }, want: "branches too much"},
		"targets": {most: maxBlocks - 1, body: func(n int) code {
			return append(append(appendU32(code{opI32Const, 0, opBrTable}, uint32(n)), repeat(n, 0)...), 0)
		}, want: "branches too much"},
		"loops":      {most: maxLoops, body: func(n int) code { return repeat(n, opLoop, emptyBlock, opEnd) }, want: "has 2001 loops"},
		"locals":     {locals: locals(1000), most: 1000, body: func(n int) code { return repeat(n, opLoop, emptyBlock, opEnd) }, want: "1001 loops and 1000 local variables"},
		"all blocks": {functions: 20, most: 5600, body: func(n int) code { return repeat(n, opBlock, emptyBlock, opEnd) }, want: "branch too much all together"},
		"all locals": {functions: 20, locals: locals(1000), most: 150_000, body: func(n int) code { return repeat(n, opNop) }, want: "too many local variables all together"},
	} {
		t.Run(name, func(t *testing.T) {
			inspect := func(n int) error {
				b := newModule()
				for range max(test.functions, 1) {
					b.function(signature("", ""), test.locals, test.body(n))
				}
				_, err := Inspect(b.bytes())
				return err
			}
			require.NoError(t, inspect(test.most))
			beyond := test.most + 1
			if test.functions > 0 {
				beyond += test.most / 10
			}
			err := inspect(beyond)
			require.ErrorIs(t, err, ErrLimit)
			require.ErrorContains(t, err, test.want)
		})
	}
}
