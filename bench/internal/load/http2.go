package load

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Frames of HTTP/2, RFC 9113.
const (
	frameHead    = 9
	frameData    = 0
	frameHeaders = 1
	frameReset   = 3
	frameSetting = 4
	framePing    = 6
	frameGoAway  = 7
	frameWindow  = 8

	flagAck        = 1
	flagEndStream  = 1
	flagEndHeaders = 4

	preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	initialWindow = 1<<16 - 1
	maxWindow     = 1<<31 - 1
	initialSize   = 4 // the setting for the window of a stream
)

// streams is a connection of HTTP/2 with one stream at a time, and without a bound on what the server may send.
type streams struct {
	conn    net.Conn
	from    *bufio.Reader
	first   []byte // the fields of the first request, which the server has to remember
	fields  []byte // those of later ones: they name the first ones
	last    uint32 // id of the last stream
	window  int    // bytes that the server may send on the connection
	payload []byte // of the last frame
	out     []byte
}

// DialHTTP2 is Dial for HTTP/2 without TLS, one stream on each connection.
func DialHTTP2(addr, path string, connections int) (*Client, error) {
	if len(path) > 126 || len(addr) > 126 {
		return nil, errors.New("the path or the address is too long")
	}
	c, err := Dial(addr, path, connections)
	if err != nil {
		return nil, err
	}
	for _, conn := range c.conns {
		s := newStreams(conn, addr, path)
		if err := s.greet(); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.streams = append(c.streams, s)
	}
	return c, nil
}

func newStreams(conn net.Conn, addr, path string) *streams {
	s := &streams{conn: conn, from: bufio.NewReader(conn), first: []byte{0x82, 0x86}} // GET, http
	for _, f := range []struct {
		name  byte // index in the static table
		value string
	}{{4, path}, {1, addr}, {58, "bench"}, {19, "*/*"}} { // path, authority, user-agent, accept
		s.first = append(append(s.first, 0x40|f.name, byte(len(f.value))), f.value...)
	}
	s.fields = []byte{0x82, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62} // the dynamic table begins with the last field
	return s
}

// frame appends the head of a frame.
func (s *streams) frame(kind, flags byte, stream uint32, size int) {
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(size)<<8|uint32(kind))
	s.out = binary.BigEndian.AppendUint32(append(s.out, flags), stream)
}

// flush sends the appended frames.
func (s *streams) flush() error {
	_, err := s.conn.Write(s.out)
	s.out = s.out[:0]
	return err
}

// greet begins the connection.
func (s *streams) greet() error {
	s.out = append(s.out, preface...)
	s.frame(frameSetting, 0, 0, 6)
	s.out = binary.BigEndian.AppendUint32(append(s.out, 0, initialSize), maxWindow)
	s.window = initialWindow
	s.widen()
	return s.flush()
}

// widen lets the server send as much as it can be allowed.
func (s *streams) widen() {
	s.frame(frameWindow, 0, 0, 4)
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(maxWindow-s.window))
	s.window = maxWindow
}

// exchange makes a request and passes the parts of the answer's body to take. A status other than 200 is an error.
func (s *streams) exchange(take func([]byte)) error {
	fields := s.fields
	if s.last++; s.last == 1 {
		fields = s.first
	} else {
		s.last++ // clients have odd numbers
	}
	s.frame(frameHeaders, flagEndStream|flagEndHeaders, s.last, len(fields))
	s.out = append(s.out, fields...)
	if err := s.flush(); err != nil {
		return err
	}
	for {
		done, err := s.receive(take)
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if done {
			return nil
		}
	}
}

// receive reads a frame, and reports whether the answer is complete.
func (s *streams) receive(take func([]byte)) (done bool, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(s.from, head[:]); err != nil {
		return false, err
	}
	size := int(binary.BigEndian.Uint32(head[:]) >> 8)
	if cap(s.payload) < size {
		s.payload = make([]byte, size)
	}
	s.payload = s.payload[:size]
	if _, err := io.ReadFull(s.from, s.payload); err != nil {
		return false, err
	}
	kind, flags := head[3], head[4]
	switch kind {
	case frameHeaders:
		const ok = 0x88 // status 200 of the static table
		if fields := skipSizes(s.payload); len(fields) == 0 || fields[0] != ok {
			return false, errors.New("the status is not 200")
		}
	case frameData:
		take(s.payload)
		if s.window -= size; s.window < maxWindow/2 {
			s.widen()
		}
	case frameSetting, framePing:
		if flags&flagAck == 0 {
			return false, s.acknowledge(kind)
		}
	case frameReset, frameGoAway:
		return false, fmt.Errorf("the server ends it: frame %d, %x", kind, s.payload)
	}
	return (kind == frameHeaders || kind == frameData) && flags&flagEndStream != 0, nil
}

// acknowledge answers settings or a ping.
func (s *streams) acknowledge(kind byte) error {
	data := s.payload
	if kind == frameSetting {
		data = nil
	}
	s.frame(kind, flagAck, 0, len(data))
	s.out = append(s.out, data...)
	return s.flush()
}

// skipSizes returns the fields after changes of the size of the dynamic table.
func skipSizes(fields []byte) []byte {
	for len(fields) > 0 && fields[0]>>5 == 1 {
		long := fields[0]&0x1f == 0x1f // more bytes of the size follow
		for fields = fields[1:]; long && len(fields) > 0; fields = fields[1:] {
			long = fields[0]&0x80 != 0
		}
	}
	return fields
}

// get makes one request and returns the body.
func (s *streams) get(timeout time.Duration) (body string, err error) {
	if err := s.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	var text []byte
	err = s.exchange(func(part []byte) { text = append(text, part...) })
	return string(text), err
}
