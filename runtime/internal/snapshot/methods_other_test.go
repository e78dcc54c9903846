//go:build !linux

package snapshot

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var methodNames = []string{"copy"}

func openMethod(t testing.TB, _ string) *Restorer {
	t.Helper()
	r, err := Open(Options{})
	require.NoError(t, err)
	require.Error(t, r.Fallback())
	return r
}
