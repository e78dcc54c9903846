package abi_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
)

func TestArrivedDataIsReady(t *testing.T) {
	s := abi.Arrived(strings.NewReader("data"))
	<-s.Ready()
	data, err := io.ReadAll(s)
	require.NoError(t, err)
	require.Equal(t, "data", string(data))
	<-s.Ready()
}

func TestMayWait(t *testing.T) {
	s := abi.Arrived(strings.NewReader("data"))
	require.False(t, abi.MayWait(s))
	require.True(t, abi.MayWait(struct{ io.Reader }{s}))
}
