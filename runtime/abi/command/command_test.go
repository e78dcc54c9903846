package command

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		module []byte
		wrong  string
	}{
		{guests.Go(t, "gofunction"), ""},
		{guests.Go(t, "gocmd"), ""},
		{guests.Go(t, "gohello"), "exports no _start"},
	} {
		info, err := engine.Inspect(c.module)
		require.NoError(t, err)
		ok, err := ABI{}.Match(info)
		require.Equal(t, c.wrong == "", ok)
		if c.wrong != "" {
			require.ErrorContains(t, err, c.wrong)
		}
	}
}
