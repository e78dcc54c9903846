package frames

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// script is a connection with prepared reads. It records all writes.
type script struct {
	net.Conn
	reads  [][]byte
	asked  []int // sizes of reads
	wrote  chan []byte
	failed error // of writes
}

// Read implements net.Conn.
func (s *script) Read(p []byte) (int, error) {
	s.asked = append(s.asked, len(p))
	if len(s.reads) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.reads[0])
	if s.reads[0] = s.reads[0][n:]; len(s.reads[0]) == 0 {
		s.reads = s.reads[1:]
	}
	return n, nil
}

// Write implements net.Conn.
func (s *script) Write(p []byte) (int, error) {
	if s.failed != nil {
		return 0, s.failed
	}
	s.wrote <- bytes.Clone(p)
	return len(p), nil
}

// patient returns a connection whose headers wait for long, and its script.
func patient(reads ...[]byte) (*Conn, *script) {
	s := &script{reads: reads, wrote: make(chan []byte, 100)}
	g := New()
	g.patience = time.Hour
	return g.Wrap(s), s
}

func TestReads(t *testing.T) {
	request, body := frame(typeHeaders, flagEndHeaders, 40), frame(typeData, flagEndStream, 3000)
	c, s := patient(slices.Concat(request, body[:100]), body[100:])
	for _, want := range [][]byte{request[:9], request[9:], body[:9], body[9:]} {
		got := make([]byte, len(want))
		_, err := io.ReadFull(c, got)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, []int{readBytes, 3000 - 91}, s.asked, "large reads are not copied")
	_, err := c.Read(make([]byte, 9))
	require.Equal(t, io.EOF, err)
}

func TestPreface(t *testing.T) {
	for _, c := range []struct {
		sent []string
		read string
	}{
		{[]string{preface + "rest"}, preface + "rest"},
		{[]string{preface[:3], preface[3:20], preface[20:], "rest"}, preface + "rest"},
		{[]string{preface[:20], "x" + preface[21:]}, ""},
		{[]string{preface[:20]}, ""},
		{[]string{"GET / HTTP/1.1\r\n\r\n"}, ""},
	} {
		s := &script{}
		for _, part := range c.sent {
			s.reads = append(s.reads, []byte(part))
		}
		got, err := io.ReadAll(New().WrapTLS(s, new(tls.ConnectionState)))
		require.NoError(t, err)
		require.Equal(t, c.read, string(got))
	}
	for sent, begins := range map[string]bool{"": false, "P": false, "POST": false, "PRI ": true, preface: true, preface + "x": true, "PRI * HTTP/2.0\r\nx": false} {
		require.Equal(t, begins, Begins([]byte(sent)), "%q", sent)
	}
}

func (s *script) written() (all [][]byte) {
	for len(s.wrote) > 0 {
		all = append(all, <-s.wrote)
	}
	return all
}

func TestWrites(t *testing.T) {
	header, end, large := frame(typeHeaders, flagEndHeaders, 20), frame(typeData, flagEndStream, 10), frame(typeData, flagEndStream, 10_000)
	more := frame(typeHeaders, flagEndHeaders, heldBytes-headBytes)
	for name, c := range map[string]struct {
		returned int
		frames   [][]byte
		writes   [][]byte
	}{
		"of a handler that goes on":    {0, [][]byte{header, end}, [][]byte{header, end}},
		"of one that has returned":     {1, [][]byte{header, end}, [][]byte{slices.Concat(header, end)}},
		"of two, one goes on":          {1, [][]byte{header, end, header, end}, [][]byte{slices.Concat(header, end), header, end}},
		"of two, mixed":                {2, [][]byte{header, header, end, end}, [][]byte{slices.Concat(header, header, end), end}},
		"with a long body":             {1, [][]byte{header, large}, [][]byte{header, large}},
		"with a long header":           {1, [][]byte{more, end}, [][]byte{slices.Concat(more, end)}},
		"more than may wait":           {2, [][]byte{more, header, end}, [][]byte{slices.Concat(more, header), end}},
		"longer than the buffer":       {1, [][]byte{frame(typeHeaders, flagEndHeaders, heldBytes)}, [][]byte{frame(typeHeaders, flagEndHeaders, heldBytes)}},
		"a stream that ends otherwise": {1, [][]byte{frame(typeHeaders, 5, 1), header}, [][]byte{frame(typeHeaders, 5, 1), header}},
	} {
		t.Run(name, func(t *testing.T) {
			conn, s := patient()
			for range c.returned {
				conn.returned()
			}
			for _, f := range c.frames {
				n, err := conn.Write(f)
				require.NoError(t, err)
				require.Equal(t, len(f), n)
			}
			require.Equal(t, c.writes, s.written())
		})
	}
}

// dropped is a connection that drops all that is written.
type dropped struct{ net.Conn }

// Write implements net.Conn.
func (dropped) Write(p []byte) (int, error) { return len(p), nil }

// TestAllocations checks that a small response allocates nothing here, save for the memory of the first one.
func TestAllocations(t *testing.T) {
	g := New()
	g.patience = time.Hour
	conn, header, body := g.Wrap(dropped{}), frame(typeHeaders, flagEndHeaders, 40), frame(typeData, flagEndStream, 1000)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		conn.returned()
		_, _ = conn.Write(header)
		_, _ = conn.Write(body)
	}))
}

func TestErrorsOfWrites(t *testing.T) {
	conn, s := patient()
	s.failed = os.ErrClosed
	conn.returned()
	n, err := conn.Write(frame(typeHeaders, flagEndHeaders, 20))
	require.NoError(t, err, "it waits")
	require.Equal(t, headBytes+20, n)
	n, err = conn.Write(frame(typeData, flagEndStream, 10))
	require.True(t, errors.Is(err, os.ErrClosed))
	require.Zero(t, n, "none of these bytes")
}

// TestPatience checks that a header is sent without its body, and that then no header waits for a stream that was reset.
func TestPatience(t *testing.T) {
	s := &script{wrote: make(chan []byte, 100)}
	conn := New().Wrap(s)
	header := frame(typeHeaders, flagEndHeaders, 20)
	conn.returned()
	conn.returned() // its stream was reset
	_, err := conn.Write(header)
	require.NoError(t, err)
	require.Equal(t, header, <-s.wrote)
	_, err = conn.Write(header)
	require.NoError(t, err)
	require.Len(t, s.wrote, 1, "it did not wait")
	<-s.wrote
	for range 3 { // and the gatherer looks again
		conn.returned()
		_, err = conn.Write(header)
		require.NoError(t, err)
		require.Equal(t, header, <-s.wrote)
	}
}

// stuck is a connection whose client reads nothing until the channel is closed.
type stuck struct {
	*script
	until chan struct{}
}

// Write implements net.Conn.
func (s stuck) Write(p []byte) (int, error) {
	s.wrote <- bytes.Clone(p)
	<-s.until
	return len(p), nil
}

// TestABlockedConnectionIsNotWatched checks that a write that lasts costs no looks, and that later headers are sent nevertheless.
func TestABlockedConnectionIsNotWatched(t *testing.T) {
	s := stuck{&script{wrote: make(chan []byte, 100)}, make(chan struct{})}
	g := New()
	conn, header, body := g.Wrap(s), frame(typeHeaders, flagEndHeaders, 20), frame(typeData, flagEndStream, 10)
	conn.returned()
	_, err := conn.Write(header)
	require.NoError(t, err)
	ended := make(chan error)
	go func() {
		_, err := conn.Write(body)
		ended <- err
	}()
	<-s.wrote // it has begun
	watched := func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.watched)
	}
	require.Eventually(t, func() bool { return watched() == 0 }, time.Minute, time.Millisecond)
	close(s.until)
	require.NoError(t, <-ended)
	for range 20 {
		for len(s.wrote) > 0 {
			<-s.wrote
		}
		conn.returned()
		_, err = conn.Write(header)
		require.NoError(t, err)
		require.Equal(t, header, <-s.wrote)
	}
}
