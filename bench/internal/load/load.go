// Package load is a cheap client of HTTP/1.1, and of HTTP/2 without TLS, for load tests: it repeats prepared requests
// on a few keep-alive connections. It parses only enough to find the end of a
// response, so that on a small machine the server gets most of the processor time.
//
// A Client must be used by one goroutine at a time. Run starts one goroutine for each
// connection and waits for all of them.
package load

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// defaultTimeout limits the wait for a connection, and for an answer.
const defaultTimeout = 30 * time.Second

// Client holds the connections to one server.
type Client struct {
	requests [][]byte       // immutable
	picks    []func() int   // immutable; one for each connection; nil: always the first request
	conns    []*net.TCPConn // immutable
	streams  []*streams     // immutable; one for each connection; nil for HTTP/1.1
	buffer   int            // immutable; bytes of an answer with its header
	timeout  time.Duration  // of an answer
}

// Dial opens connections to the server at addr, on which Run requests the path. The caller
// must close the client.
func Dial(addr, path string, connections int) (*Client, error) {
	return DialRequest(addr, &Request{Path: path}, connections)
}

// DialRequest is Dial for any request.
func DialRequest(addr string, r *Request, connections int) (*Client, error) {
	return DialMix(addr, []*Request{r}, make([]func() int, connections))
}

// DialMix is Dial for several requests. Each connection has a function that returns the index of the next one.
func DialMix(addr string, all []*Request, picks []func() int) (*Client, error) {
	c := &Client{picks: picks, timeout: defaultTimeout}
	for _, r := range all {
		c.requests = append(c.requests, r.bytes(addr))
		c.buffer = max(c.buffer, r.Answer+smallAnswer)
	}
	for range picks {
		conn, err := net.DialTimeout("tcp", addr, c.timeout)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.conns = append(c.conns, conn.(*net.TCPConn))
	}
	return c, nil
}

// Patience sets the limit of the wait for an answer. It must be called before the first request.
func (c *Client) Patience(limit time.Duration) { c.timeout = limit }

// Close closes the connections.
func (c *Client) Close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// Get makes one request on the first connection and returns the whole response.
func (c *Client) Get() (status int, body string, err error) {
	if c.streams != nil {
		body, err = c.streams[0].get(c.timeout)
		return http.StatusOK, body, err
	}
	conn := c.conns[0]
	if err := conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, "", err
	}
	sent := begin(conn, c.requests[0])
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), errors.Join(err, <-sent)
}

// Bound limits a Run: the first limit reached ends it; zero means no limit.
type Bound struct {
	Duration time.Duration
	Requests int // over all connections
	// Pace is the minimum interval between two requests on a connection; zero: no pause.
	Pace time.Duration
}

// Result is the result of a Run.
type Result struct {
	Requests  int
	Elapsed   time.Duration
	Latencies Histogram
}

// PerSecond returns the rate of requests.
func (r *Result) PerSecond() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }

// Run sends requests on all connections, each after the response to the previous one. A
// response with a status other than 200 is an error and ends the run, and so is one that does not come in time.
func (c *Client) Run(b Bound) (*Result, error) {
	loops := make([]loop, len(c.conns))
	start := time.Now()
	var wg sync.WaitGroup
	for i, conn := range c.conns {
		l := &loops[i]
		if c.streams != nil {
			l.streams = c.streams[i]
		}
		l.conn, l.requests, l.pick, l.timeout, l.buffer = conn, c.requests, c.picks[i], c.timeout, make([]byte, c.buffer)
		wg.Go(func() { l.err = l.run(start, b, share(b.Requests, len(loops), i)) })
	}
	wg.Wait()
	r := &Result{Elapsed: time.Since(start)}
	var err error
	for i := range loops {
		r.Latencies.Merge(&loops[i].latencies)
		err = cmp.Or(err, loops[i].err) // the first error is enough
	}
	r.Requests = r.Latencies.Count()
	return r, err
}

// share returns the i-th of n parts of total; -1 if total is 0.
func share(total, n, i int) int {
	if total == 0 {
		return -1
	}
	share := total / n
	if i < total%n {
		share++
	}
	return share
}

// loop is the state of one connection.
type loop struct {
	conn      *net.TCPConn
	requests  [][]byte
	streams   *streams   // nil for HTTP/1.1
	pick      func() int // nil: the first one
	timeout   time.Duration
	deadline  time.Time // of the connection
	buffer    []byte
	latencies Histogram
	err       error
}

func (l *loop) run(start time.Time, b Bound, requests int) error {
	began := start
	for requests != 0 {
		if err := l.extend(began); err != nil {
			return err
		}
		if err := l.exchange(); err != nil {
			return err
		}
		now := time.Now()
		l.latencies.Add(now.Sub(began))
		if requests--; b.Duration > 0 && now.Sub(start) >= b.Duration {
			return nil
		}
		if b.Pace > 0 {
			time.Sleep(time.Until(began.Add(b.Pace)))
			now = time.Now()
		}
		began = now
	}
	return nil
}

// extend sets a deadline of one to two timeouts from now: a call of the system for each request would cost
// more than to measure it.
func (l *loop) extend(now time.Time) error {
	if l.deadline.Sub(now) >= l.timeout {
		return nil
	}
	l.deadline = now.Add(2 * l.timeout)
	return l.conn.SetDeadline(l.deadline)
}

// exchange makes one request and reads the response to its end.
func (l *loop) exchange() error {
	if l.streams != nil {
		return l.streams.exchange(func([]byte) {})
	}
	request := l.requests[0]
	if l.pick != nil {
		request = l.requests[l.pick()]
	}
	if len(request) < largeRequest {
		if _, err := l.conn.Write(request); err != nil {
			return err
		}
		return l.receive()
	}
	sent := begin(l.conn, request)
	err := l.receive()
	if err != nil {
		_ = l.conn.Close() // ends the sender
	}
	return errors.Join(err, <-sent)
}

// receive reads the response to its end.
func (l *loop) receive() error {
	read, end := 0, 0
	for end == 0 || read < end {
		if read == len(l.buffer) {
			return errors.New("the answer is larger than the buffer")
		}
		n, err := l.conn.Read(l.buffer[read:])
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		read += n
		if end == 0 {
			if end, err = answerEnd(l.buffer[:read]); err != nil {
				return err
			}
		}
	}
	if read != end {
		return fmt.Errorf("the answer has %d bytes too many", read-end)
	}
	return nil
}

// begin sends a large request while the caller reads the answer: the server may answer before it has read all. It returns a channel
// with the error of that.
func begin(conn *net.TCPConn, request []byte) <-chan error {
	sent := make(chan error, 1)
	go func() { // ends with the deadline or the end of the connection
		_, err := conn.Write(request)
		sent <- err
	}()
	return sent
}

var (
	statusOK      = []byte("HTTP/1.1 200 ")
	headerEnd     = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
	chunked       = []byte("\r\nTransfer-Encoding: chunked")
	lastChunk     = []byte("\r\n0\r\n\r\n")
)

// answerEnd returns the length of the response at the beginning of b; 0 if it is not known
// yet. b contains nothing else, because the next request was not sent yet.
func answerEnd(b []byte) (int, error) {
	header := bytes.Index(b, headerEnd)
	if header < 0 {
		return 0, nil
	}
	if !bytes.HasPrefix(b, statusOK) {
		line, _, _ := bytes.Cut(b, []byte("\r\n"))
		return 0, fmt.Errorf("answered %q", line)
	}
	if at := bytes.Index(b[:header], contentLength); at >= 0 {
		return header + len(headerEnd) + number(b[at+len(contentLength):header+1]), nil
	}
	switch {
	case !bytes.Contains(b[:header], chunked):
		return 0, errors.New("the answer has neither a Content-Length nor chunks")
	case bytes.HasSuffix(b, lastChunk):
		return len(b), nil
	}
	return 0, nil
}

// number parses the digits at the beginning of b.
func number(b []byte) (n int) {
	for _, digit := range b {
		if digit < '0' || digit > '9' {
			break
		}
		n = n*10 + int(digit-'0')
	}
	return n
}
