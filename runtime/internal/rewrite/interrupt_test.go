package rewrite

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/testdata/guests"
)

// Rewriting can be interrupted between two functions.
func TestRewritingCanBeInterrupted(t *testing.T) {
	enough, left := errors.New("enough"), 10
	o := Options{
		YieldModule:      "host",
		YieldName:        "yield",
		StackBytes:       1 << 20,
		MaxTableElements: 1,
		Interrupted: func() error {
			if left--; left < 0 {
				return enough
			}
			return nil
		},
	}
	module := guests.Long(t, "hello", 100, 1)
	_, _, err := Rewrite(module, o)
	require.ErrorIs(t, err, enough)
	require.Equal(t, -1, left)
	o.Interrupted = nil
	_, _, err = Rewrite(module, o)
	require.NoError(t, err)
}
