package budget

import (
	"io"
	"net/http"
	"time"
)

// The minimum rate of a body. A client has Grace, plus one second for each Rate bytes that it has sent.
const (
	Grace = 10 * time.Second
	Rate  = 32 << 10 // bytes per second
)

// Paced returns r with a read deadline that moves on as data arrives, but not beyond
// until (zero: no such limit). r is the body of the request on the connection of rc.
// The caller must reset the deadline at the end.
func Paced(r io.Reader, rc *http.ResponseController, until time.Time) io.Reader {
	return &paced{from: r, control: rc, until: until, begun: time.Now()}
}

type paced struct {
	from    io.Reader
	control *http.ResponseController
	until   time.Time
	begun   time.Time
	set     time.Time // current deadline
	read    int64
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	deadline := p.begun.Add(Grace + time.Duration(p.read)*time.Second/Rate)
	if !p.until.IsZero() && deadline.After(p.until) {
		deadline = p.until
	}
	if deadline.Sub(p.set) >= time.Second || p.set.IsZero() || deadline.Equal(p.until) && !p.set.Equal(deadline) {
		p.set = deadline
		_ = p.control.SetReadDeadline(deadline) // a connection without deadlines does not need one
	}
	n, err := p.from.Read(b)
	p.read += int64(n)
	return n, err
}
