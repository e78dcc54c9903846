package abi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
)

func TestSettings(t *testing.T) {
	s := abi.NewSettings(map[string]string{"name": "value", "empty": ""})
	require.Equal(t, `{"empty":"","name":"value"}`, s.Text())
	value, ok := s.Get("empty")
	require.True(t, ok)
	require.Empty(t, value)
	_, ok = s.Get("none")
	require.False(t, ok)
	s = abi.TextSettings("any\x00bytes\xff")
	require.Equal(t, "any\x00bytes\xff", s.Text())
	require.Empty(t, s.All())
	_, ok = s.Get("any")
	require.False(t, ok)
	for _, none := range []abi.Settings{{}, abi.NewSettings(nil)} {
		require.Empty(t, none.Text())
		require.Empty(t, none.All())
	}
}
