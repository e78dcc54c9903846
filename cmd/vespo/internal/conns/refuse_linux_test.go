package conns

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Refuse loses no connection that a client has, and lets the kernel open no other.
func TestRefuse(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", Config{MaxConnections: 4})
	require.NoError(t, err)
	queued, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer queued.Close()
	_, err = io.WriteString(queued, "before")
	require.NoError(t, err)
	require.True(t, l.Refuse())
	_, err = net.DialTimeout("tcp", l.Addr().String(), 100*time.Millisecond)
	var failed net.Error
	require.ErrorAs(t, err, &failed)
	require.True(t, failed.Timeout(), err)
	accepted, err := l.Accept()
	require.NoError(t, err)
	defer accepted.Close()
	require.NoError(t, l.Close())
	_, err = io.WriteString(queued, ", after")
	require.NoError(t, err)
	require.NoError(t, queued.(*net.TCPConn).CloseWrite())
	got, err := io.ReadAll(accepted)
	require.NoError(t, err)
	require.Equal(t, "before, after", string(got))
}
