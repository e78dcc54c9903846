package snapshot

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var methodNames = []string{"pagemap_scan", "madvise", "copy"}

func openMethod(t testing.TB, name string) *Restorer {
	t.Helper()
	if name == "copy" {
		return newRestorer(copyMethod{hostPageBytes: unix.Getpagesize()}, nil)
	}
	r, err := Open(Options{DisableScan: name == "madvise"})
	require.NoError(t, err)
	if r.Method() != name {
		reason := r.Fallback()
		require.NoError(t, r.Close())
		t.Skip(reason)
	}
	return r
}
