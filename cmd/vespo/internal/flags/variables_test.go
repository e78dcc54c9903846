package flags

import (
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

func TestEmptyVariables(t *testing.T) {
	t.Setenv("VESPO_TEST_EMPTY", "")
	t.Setenv("VESPO_TEST_SET", "3")
	var given struct {
		Command struct {
			Wait   time.Duration `env:"VESPO_TEST_EMPTY" default:"1s"`
			On     bool          `env:"VESPO_TEST_EMPTY"`
			Number int           `env:"VESPO_TEST_EMPTY,VESPO_TEST_SET"`
			Name   *string       `env:"VESPO_TEST_EMPTY"`
		} `cmd:""`
	}
	parser, err := kong.New(&given)
	require.NoError(t, err)
	WithoutEmpty(parser.Model.Node)
	_, err = parser.Parse([]string{"command"})
	require.NoError(t, err)
	require.Equal(t, time.Second, given.Command.Wait)
	require.False(t, given.Command.On)
	require.Equal(t, 3, given.Command.Number)
	require.Empty(t, *given.Command.Name)
}
