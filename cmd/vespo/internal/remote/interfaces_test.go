package remote

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestByPackage(t *testing.T) {
	require.Nil(t, byPackage(nil))
	require.Equal(t, []string{"wasi:io@0.2.12: poll, streams", "wasi:http/types@0.2.12", "wasi:io/error@0.2.0", "vespo:kv/store", "plain", "2 more", "/odd"},
		byPackage([]string{"wasi:io/poll@0.2.12", "wasi:http/types@0.2.12", "wasi:io/streams@0.2.12", "wasi:io/error@0.2.0", "vespo:kv/store", "plain", "2 more", "/odd"}))
}
