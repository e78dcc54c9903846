package rewrite

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// A stub differs from its module in the bodies of functions, and in a section of its own.
func TestStub(t *testing.T) {
	out, _, err := Rewrite(richModule(), separating())
	require.NoError(t, err)
	stub := Stub(out)
	require.Equal(t, stub, Stub(out))
	stubbed, err := Decode(stub)
	require.NoError(t, err)
	whole, err := Decode(out)
	require.NoError(t, err)
	want := whole.Info()
	want.CodeBytes, want.WritesMemory = stubbed.Info().CodeBytes, stubbed.Info().WritesMemory
	require.Equal(t, want, stubbed.Info())
	section := func(bin []byte) []byte { return bin[:bytes.LastIndex(bin, []byte(stubSection))] }

	other := bytes.Clone(out)
	at := whole.m.bodies[0].code.from + 1
	require.EqualValues(t, 0, other[at], "the operand of local.get")
	other[at] = 1
	require.Equal(t, section(stub), section(Stub(other)))
	require.NotEqual(t, stub, Stub(other), "modules that differ have stubs that differ")
}
