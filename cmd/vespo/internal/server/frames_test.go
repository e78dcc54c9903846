package server

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLargeFrames checks that a client cannot make an HTTP/2 connection keep a
// buffer for a large frame: a frame of any type above the limit ends the connection.
func TestLargeFrames(t *testing.T) {
	r := runDemo(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute))) // without the limit no GOAWAY arrives
	const settings, goAway, unknown, frameSizeError = 4, 7, 0xbb, 6
	_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	require.NoError(t, err)
	_, err = conn.Write(connFrame(settings, 0))
	require.NoError(t, err)
	_, err = conn.Write(connFrame(unknown, frameBuffer+1))
	require.NoError(t, err)
	for {
		var head [9]byte
		_, err := io.ReadFull(conn, head[:])
		require.NoError(t, err, "the connection ends with a GOAWAY frame")
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		_, err = io.ReadFull(conn, payload)
		require.NoError(t, err)
		if head[3] == goAway {
			require.EqualValues(t, frameSizeError, binary.BigEndian.Uint32(payload[4:]))
			return
		}
	}
}

// connFrame returns an HTTP/2 frame of the type, with sizeBytes zero bytes, for the whole connection.
func connFrame(kind byte, sizeBytes int) []byte {
	frame := make([]byte, 9+sizeBytes)
	binary.BigEndian.PutUint32(frame, uint32(sizeBytes)<<8|uint32(kind))
	return frame
}
