package lane_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane/lanetest"
)

// TestBodiesThatArriveWithTheHeader checks which bodies are known to need no wait.
func TestBodiesThatArriveWithTheHeader(t *testing.T) {
	arrived := make(chan bool, 2)
	s := lanetest.Lane.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body.(interface{ Arrived() bool })
		arrived <- body.Arrived()
		text, err := io.ReadAll(r.Body)
		arrived <- body.Arrived()
		fmt.Fprint(w, string(text), err)
	}))
	conn, err := net.Dial("tcp", s.Addr)
	require.NoError(t, err)
	defer conn.Close()
	const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
	for _, first := range []int{0, 4, 5} {
		_, err := io.WriteString(conn, head+"hello"[:first])
		require.NoError(t, err)
		require.Equal(t, first == 5, <-arrived, "%d bytes", first)
		_, err = io.WriteString(conn, "hello"[first:])
		require.NoError(t, err)
		require.True(t, <-arrived, "the body was read")
		answer := make([]byte, 512)
		n, err := conn.Read(answer)
		require.NoError(t, err)
		require.Contains(t, string(answer[:n]), "hello<nil>")
	}
}
