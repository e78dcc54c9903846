package pace

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// deadlines is a ResponseWriter that sets read deadlines on a connection.
type deadlines struct {
	http.ResponseWriter
	conn net.Conn
}

func (d deadlines) SetReadDeadline(at time.Time) error { return d.conn.SetReadDeadline(at) }

// read reads the body that send writes, in a bubble of fake time. It returns the size,
// the duration and the error.
func read(t *testing.T, send func(w io.Writer), rest time.Duration) (got int, took time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		var sending sync.WaitGroup
		sending.Go(func() {
			send(client)
			client.Close()
		})
		b := New(server, http.NewResponseController(deadlines{httptest.NewRecorder(), server}))
		begin := time.Now()
		for p := make([]byte, 64<<10); err == nil; {
			var n int
			n, err = b.Read(p)
			got += n
			if err == nil {
				time.Sleep(rest)
			}
		}
		took = time.Since(begin)
		b.Stop()
		server.Close()
		sending.Wait()
	})
	return got, took, err
}

// every returns a sender that writes size bytes repeatedly, with a pause before each write.
func every(pause time.Duration, size, times int) func(io.Writer) {
	return func(w io.Writer) {
		for range times {
			time.Sleep(pause)
			if _, err := io.WriteString(w, strings.Repeat("x", size)); err != nil {
				return
			}
		}
	}
}

func TestPace(t *testing.T) {
	for name, c := range map[string]struct {
		send func(io.Writer)
		rest time.Duration // between reads
		got  int
		took time.Duration // for a body that is too slow; otherwise 0
	}{
		"silent":                     {every(time.Hour, 1, 1), 0, 0, Silence},
		"silent after a byte":        {every(time.Hour, 1, 2), 0, 0, Silence},
		"all at once":                {every(0, 1<<20, 1), 0, 1 << 20, 0},
		"at the rate":                {every(time.Second, BytesPerSecond, 1000), 0, 1000 * BytesPerSecond, 0},
		"a little below the silence": {every(Silence-time.Second, 10*BytesPerSecond, 10), 0, 100 * BytesPerSecond, 0},
		"a byte now and then":        {every(time.Second, 1, 1000), 0, 5, Silence + time.Second*5/BytesPerSecond},
		"rich and then silent":       {func(w io.Writer) { every(0, 1<<20, 1)(w); time.Sleep(time.Hour) }, 0, 1 << 20, Silence},
		"a reader that takes hours":  {every(0, 64<<10, 5), time.Hour, 5 * 64 << 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, took, err := read(t, c.send, c.rest)
			if c.took == 0 {
				require.Equal(t, io.EOF, err)
			} else {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.InDelta(t, c.took, took, float64(time.Millisecond))
			}
			require.Equal(t, c.got, got)
		})
	}
}

// After Stop, no deadline is set, not even by a timer that has already fired.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := net.Pipe()
		b := New(server, http.NewResponseController(deadlines{httptest.NewRecorder(), server}))
		go func() { _, _ = io.WriteString(client, "x") }()
		n, err := b.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		b.Stop()
		b.check()
		go func() {
			time.Sleep(2 * Silence)
			_, _ = io.WriteString(client, "y")
		}()
		_, err = server.Read(make([]byte, 1))
		require.NoError(t, err)
	})
}
