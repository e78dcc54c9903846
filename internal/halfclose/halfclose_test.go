package halfclose_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/halfclose"
)

func TestCloseWrite(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	server, err := l.Accept()
	require.NoError(t, err)
	defer server.Close()
	require.NoError(t, halfclose.CloseWrite(client))
	_, err = server.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	_, err = io.WriteString(server, "still read")
	require.NoError(t, err)
	_, err = io.ReadFull(client, make([]byte, len("still read")))
	require.NoError(t, err)

	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	require.ErrorIs(t, halfclose.CloseWrite(pipe), errors.ErrUnsupported)
}
