package lane_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// framed is a client of HTTP/2 that sends single frames and records what comes back, by streams. Methods after an error do nothing,
// as a server may close the connection at any time.
type framed struct {
	*http2.Framer
	t       *testing.T
	conn    net.Conn
	head    bytes.Buffer
	encoder *hpack.Encoder
	events  map[uint32][]string // what the server has sent on a stream; 0: on the connection
	ended   map[uint32]bool
	pings   byte
	scheme  string // of requests
	over    bool   // the connection has ended
}

// transport is a way to connect.
type transport struct {
	name    string
	version uint16 // of TLS; 0: without
}

var transports = []transport{{"without TLS", 0}, {"TLS 1.2", tls.VersionTLS12}, {"TLS 1.3", tls.VersionTLS13}}

// dial connects, and sends the preface and settings.
func (tr transport) dial(t *testing.T, addr string, settings ...http2.Setting) *framed {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	if tr.version != 0 {
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, MinVersion: tr.version, MaxVersion: tr.version})
		require.NoError(t, secure.Handshake())
		require.Equal(t, "h2", secure.ConnectionState().NegotiatedProtocol)
		conn = secure
	}
	c := &framed{Framer: http2.NewFramer(conn, conn), t: t, conn: conn, events: make(map[uint32][]string), ended: make(map[uint32]bool), scheme: "https"}
	c.encoder = hpack.NewEncoder(&c.head)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err = io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	require.NoError(t, c.WriteSettings(settings...))
	return c
}

// request sends the header of a request. fields are names and values beside the common ones.
func (c *framed) request(stream uint32, end bool, method, path string, fields ...string) {
	c.head.Reset()
	all := append([]string{":method", method, ":scheme", c.scheme, ":path", path, ":authority", "h"}, fields...)
	for i := 0; i < len(all); i += 2 {
		require.NoError(c.t, c.encoder.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}))
	}
	c.block(stream, end)
}

// trailers ends a request with trailers.
func (c *framed) trailers(stream uint32, fields ...string) {
	c.head.Reset()
	for i := 0; i < len(fields); i += 2 {
		require.NoError(c.t, c.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	c.block(stream, true)
}

func (c *framed) block(stream uint32, end bool) {
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.head.Bytes(), EndStream: end, EndHeaders: true})
}

// data sends a part of a body.
func (c *framed) data(stream uint32, end bool, text string) {
	_ = c.WriteData(stream, end, []byte(text))
}

// next reads and records a frame.
func (c *framed) next() {
	f, err := c.ReadFrame()
	if err != nil {
		require.False(c.t, isTimeout(err), "the server sends nothing; until now: %s", c)
		c.over = true
		return
	}
	stream, flags := f.Header().StreamID, f.Header().Flags
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		c.note(stream, f.StreamEnded(), "HEADERS %s", fieldsOf(f))
	case *http2.DataFrame:
		c.body(stream, f)
	case *http2.RSTStreamFrame:
		c.note(stream, true, "RST %v", f.ErrCode)
	case *http2.GoAwayFrame:
		c.note(0, false, "GOAWAY %v after %d %q", f.ErrCode, f.LastStreamID, f.DebugData())
	case *http2.PingFrame:
		if f.IsAck() && f.Data[0] == c.pings {
			c.ended[0] = true
		}
	case *http2.SettingsFrame:
		if !f.IsAck() {
			c.note(0, false, "SETTINGS %s", f)
			_ = c.WriteSettingsAck()
		}
	case *http2.WindowUpdateFrame: // when they come depends on timing
	default:
		c.note(stream, false, "%T %v", f, flags)
	}
}

func isTimeout(err error) bool {
	failed, ok := err.(net.Error)
	return ok && failed.Timeout()
}

// fieldsOf returns the fields of a header in their order, without the time.
func fieldsOf(f *http2.MetaHeadersFrame) string {
	var b strings.Builder
	for _, field := range f.Fields {
		if field.Name != "date" {
			fmt.Fprintf(&b, "%s=%q ", field.Name, field.Value)
		}
	}
	return b.String()
}

// body records a part of a body. Parts without an end are one event, as windows may divide them.
func (c *framed) body(stream uint32, f *http2.DataFrame) {
	if !f.StreamEnded() {
		text := string(f.Data())
		if all := c.events[stream]; len(all) > 0 {
			if before, ok := strings.CutPrefix(all[len(all)-1], "DATA "); ok {
				c.events[stream] = all[:len(all)-1]
				text = before + text
			}
		}
		c.note(stream, false, "DATA %s", text)
		return
	}
	c.note(stream, true, "DATA with end %s", f.Data())
}

// note records an event.
func (c *framed) note(stream uint32, end bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if end {
		text += " END"
		c.ended[stream] = true
	}
	c.events[stream] = append(c.events[stream], text)
}

// ends reads until streams have ended.
func (c *framed) ends(streams ...uint32) {
	for !c.over && slices.ContainsFunc(streams, func(s uint32) bool { return !c.ended[s] }) {
		c.next()
	}
}

// has reads until a stream has n frames.
func (c *framed) has(stream uint32, n int) {
	for !c.over && len(c.events[stream]) < n {
		c.next()
	}
}

// ping reads until a ping is answered.
func (c *framed) ping() {
	c.pings++
	c.ended[0] = false
	_ = c.WritePing(false, [8]byte{c.pings})
	c.ends(0)
}

// String returns all that was recorded.
func (c *framed) String() string {
	var b strings.Builder
	streams := make([]uint32, 0, len(c.events))
	for s := range c.events {
		streams = append(streams, s)
	}
	slices.Sort(streams)
	for _, s := range streams {
		fmt.Fprintf(&b, "%d:\n", s)
		for _, e := range c.events[s] {
			fmt.Fprintf(&b, "  %.500s (%d bytes)\n", e, len(e))
		}
	}
	return b.String()
}
