//go:build unix

package crashtest

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/regular"
)

// NoDescriptors takes all descriptors of the process, until release is called or the test ends.
func NoDescriptors(t testing.TB) (release func()) {
	t.Helper()
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	low := before
	low.Cur = min(before.Cur, 256)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
	var taken []*os.File
	release = func() {
		for _, f := range taken {
			_ = f.Close()
		}
		taken = nil
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before))
	}
	t.Cleanup(release)
	for {
		f, err := regular.OpenAny(os.DevNull)
		if err != nil {
			require.ErrorIs(t, err, syscall.EMFILE)
			return release
		}
		taken = append(taken, f)
	}
}
