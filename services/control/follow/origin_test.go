package follow_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/services/control/follow"
)

func TestOrigin(t *testing.T) {
	dir := t.TempDir()
	open := func() *follow.Origin {
		o, damage, err := follow.OpenOrigin(durable.Dir(dir))
		require.NoError(t, err)
		require.NoError(t, damage)
		return o
	}
	require.Empty(t, open().Primary())
	require.NoError(t, open().Set("https://example.com"))
	require.Equal(t, "https://example.com", open().Primary())
	require.NoError(t, open().Set(""))
	require.Empty(t, open().Primary())

	file := filepath.Join(dir, "follow.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"format":"vespo follower","version":9}`), 0o600))
	_, _, err := follow.OpenOrigin(durable.Dir(dir))
	require.ErrorIs(t, err, durable.ErrNewer)
	for _, damaged := range []string{"", "{}", `{"format":"x","version":1}`} {
		require.NoError(t, os.WriteFile(file, []byte(damaged), 0o600))
		o, damage, err := follow.OpenOrigin(durable.Dir(dir))
		require.NoError(t, err)
		require.Error(t, damage)
		require.Empty(t, o.Primary())
	}
}
