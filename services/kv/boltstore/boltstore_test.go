package boltstore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/kv/storetest"
)

// opener returns an Open for one directory.
func opener(t *testing.T) storetest.Open {
	dir := t.TempDir()
	return func(t *testing.T) (kv.Stores, func() error) {
		s := openIn(t, dir)
		return s, s.Close
	}
}

func openIn(t *testing.T, dir string) *Stores {
	t.Helper()
	s, err := Open(Config{Dir: dir})
	require.NoError(t, err)
	return s
}

func TestConformance(t *testing.T) { storetest.Run(t, opener) }
