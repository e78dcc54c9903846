package configfile

import (
	"testing"

	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/stretchr/testify/require"
)

// TestPositionsAreThoseOfTheParser compares the lines that are found in one pass with those that the parser counts.
func TestPositionsAreThoseOfTheParser(t *testing.T) {
	const text = "# a comment\n\n[server]\nlisten = \"x\"\r\nlong = '''a\nb\n\nc'''\nlist = [\n  1,\n  2, # two\n]\n" +
		"a.b.c = { d = 1 }\n\n\n[[service]]\nprefix = \"ä\"\n[service.config]\n\"quoted key\" = \"v\"\n[[service]]\n  prefix = 'b'\nlast = 1"
	var p unstable.Parser
	p.Reset([]byte(text))
	at, found := position{line: 1}, 0
	for p.NextExpression() {
		e := p.Expression()
		it := e.Key()
		require.True(t, it.Next())
		want := p.Shape(it.Node().Raw).Start
		key, offset := keyOf(e)
		require.Equal(t, want.Offset, offset, key)
		require.Equal(t, want.Line, at.moveTo([]byte(text), offset), key)
		found++
	}
	require.NoError(t, p.Error())
	require.Equal(t, 12, found)
}
