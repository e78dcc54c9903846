package mesh

import (
	"bufio"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// echo starts a server that sends back what it reads.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	return l.Addr().String()
}

// TestRules sets each rule for a connection of this process, and one for those of another.
func TestRules(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the owners of sockets are known on Linux alone")
	}
	m := New()
	defer m.Close()
	address, err := m.Link("server", echo(t))
	require.NoError(t, err)
	m.Is("client", os.Getpid())
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer c.Close()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(c); s.Scan(); {
			lines <- s.Text()
		}
	}()
	send := func(text string) {
		_, err := io.WriteString(c, text+"\n")
		require.NoError(t, err)
	}
	send("1")
	require.Equal(t, "1", <-lines)

	m.Set(With("other"), Rule{Refuse: true})
	m.Set(func(from, to string) bool { return from == "client" && to == "server" }, Rule{Hold: true})
	send("2")
	select {
	case text, ok := <-lines:
		require.Fail(t, "it has passed", "%q %t", text, ok)
	case <-time.After(100 * time.Millisecond):
	}
	m.Heal()
	require.Equal(t, "2", <-lines, "it was not lost")

	m.Set(With("client"), Rule{Delay: time.Millisecond, BytesPerSecond: 100 << 10})
	send("3")
	require.Equal(t, "3", <-lines)
	m.Heal()
	m.Set(With("server"), Rule{Refuse: true})
	_, ok := <-lines
	require.False(t, ok, "it was broken")
	again, err := net.Dial("tcp", address)
	if err == nil {
		defer again.Close()
		_, err = again.Read(make([]byte, 1))
	}
	require.Error(t, err)
	require.Equal(t, Stats{Held: 1, Refused: 2, Slowed: 2}, m.Stats())
}
