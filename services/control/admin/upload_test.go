package admin

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// slowConn delivers a chunk each interval and honours the deadline like a connection.
type slowConn struct {
	interval time.Duration
	chunk    int
	left     int // bytes
	deadline time.Time
}

func (c *slowConn) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	if next := time.Now().Add(c.interval); next.After(c.deadline) {
		time.Sleep(time.Until(c.deadline))
		return 0, os.ErrDeadlineExceeded
	}
	time.Sleep(c.interval)
	n := min(c.chunk, c.left, len(p))
	c.left -= n
	return n, nil
}

func (c *slowConn) Close() error { return nil }

func (c *slowConn) SetReadDeadline(t time.Time) error {
	c.deadline = t
	return nil
}

func TestPacedBody(t *testing.T) {
	p := pace{stall: 15 * time.Second, bytesPerSecond: 1024}
	tests := []struct {
		name       string
		conn       slowConn
		ok         bool
		receivedAt time.Duration // latest end
	}{
		{"50 MB over a slow link", slowConn{interval: 10 * time.Second, chunk: 100_000, left: 50_000_000}, true, 84 * time.Minute},
		{"slow at the beginning", slowConn{interval: 14 * time.Second, chunk: 100_000, left: 100_000}, true, 14 * time.Second},
		{"stalls", slowConn{interval: 16 * time.Second, chunk: 1_000_000, left: 1_000_000}, false, 15 * time.Second},
		{"stalls in between, though it was quick before", slowConn{interval: 15001 * time.Millisecond, chunk: 1 << 30, left: 1 << 30}, false, 15 * time.Second},
		{"trickles", slowConn{interval: time.Second, chunk: 1, left: 1000}, false, 15 * time.Second},
		{"trickles below the rate", slowConn{interval: time.Second, chunk: 512, left: 1 << 20}, false, 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin, total := time.Now(), tt.conn.left
				body := &pacedBody{ReadCloser: &tt.conn, setDeadline: tt.conn.SetReadDeadline, pace: p, start: begin}
				got, err := readModule(body, int64(total))
				if tt.ok {
					require.NoError(t, err)
					require.Len(t, got, total)
				} else {
					require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				}
				require.LessOrEqual(t, time.Since(begin), tt.receivedAt)
				body.finish()
				require.True(t, tt.conn.deadline.IsZero())
			})
		})
	}
}

func TestPacedBodyWithoutDeadlines(t *testing.T) {
	refuse := func(err error) *pacedBody {
		return &pacedBody{
			ReadCloser:  io.NopCloser(bytes.NewReader([]byte("abc"))),
			setDeadline: func(time.Time) error { return err },
			pace:        pace{stall: time.Second, bytesPerSecond: 1},
			start:       time.Now(),
		}
	}
	got, err := io.ReadAll(refuse(http.ErrNotSupported))
	require.NoError(t, err)
	require.Equal(t, "abc", string(got))
	closed := errors.New("closed")
	_, err = io.ReadAll(refuse(closed))
	require.ErrorIs(t, err, closed)
}
