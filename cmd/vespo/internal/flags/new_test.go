package flags

import (
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// TestNew checks that a parser has the same texts and values as one of kong.New.
func TestNew(t *testing.T) {
	type grammar struct {
		Version kong.VersionFlag
		Plain   string `default:"a" help:"Help without any."`
		Address string `default:"${listen}" placeholder:"${listen}" help:"At ${listen} (${default}), not $$PORT."`
		Kind    string `enum:"${kinds}" default:"one" help:"One of ${enum}."`
		Token   string `env:"VESPO_TEST_NEW" help:"From ${env}, or ${listen}."`
		Run     struct {
			Name string `arg:"" help:"What to run on ${listen}."`
			Odd  string `help:"Costs ${price}."`
		} `cmd:"" help:"Runs at ${listen}."`
	}
	vars := kong.Vars{"listen": "127.0.0.1:80", "kinds": "one,two", "price": "5$", "version": "v1"}
	var ours, theirs grammar
	got, err := New(&ours, vars, kong.Name("test"))
	require.NoError(t, err)
	want, err := kong.New(&theirs, vars, kong.Name("test"))
	require.NoError(t, err)
	require.Equal(t, textsOf(t, want), textsOf(t, got))

	_, err = got.Parse([]string{"run", "x"})
	require.NoError(t, err)
	_, err = want.Parse([]string{"run", "x"})
	require.NoError(t, err)
	require.Equal(t, theirs, ours)
	require.Equal(t, "127.0.0.1:80", ours.Address)

	_, err = New(&struct {
		Flag string `help:"${nothing}"`
	}{}, vars)
	require.ErrorContains(t, err, "undefined variable ${nothing}")
}

// textsOf returns all texts of a model.
func textsOf(t *testing.T, k *kong.Kong) (all []string) {
	require.NoError(t, kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		switch node := node.(type) {
		case *kong.Application:
			all = append(all, node.Help)
		case *kong.Node:
			all = append(all, node.Name, node.Help)
		case *kong.Flag:
			all = append(all, node.Name, node.PlaceHolder)
		case *kong.Value:
			all = append(all, node.Name, node.Default, node.Enum, node.Help)
		}
		return next(nil)
	}))
	require.Contains(t, all, "At 127.0.0.1:80 (127.0.0.1:80), not $PORT.")
	require.Contains(t, all, "Help without any.")
	return all
}
