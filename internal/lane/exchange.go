package lane

import (
	"bufio"
	"errors"
	"net/http"
	"runtime/debug"
)

// exchange is a request with its response. It serves another request only after response.Spent: handlers, mirrors and work
// that goes on after a response may keep it.
type exchange struct {
	head     head
	request  http.Request
	context  requestContext
	body     body
	response response
}

// takeExchange returns an exchange for a request.
func (s *Server) takeExchange() *exchange {
	if x, ok := s.spent.Get().(*exchange); ok {
		return x
	}
	return &exchange{}
}

// giveExchange takes an exchange back, unless a goroutine may use it.
func (s *Server) giveExchange(x *exchange) {
	if !x.response.spent || x.context.used() {
		return
	}
	request, response := emptied(x.head.header), emptied(x.response.header)
	*x = exchange{}
	x.head.header, x.response.header = request, response
	s.spent.Put(x)
}

// emptied returns the header without its fields, or nil if it is large: a cleared map keeps its size.
func emptied(h http.Header) http.Header {
	if len(h) > fieldRoom {
		return nil
	}
	clear(h)
	return h
}

// open begins the request, and returns it for the handler.
func (x *exchange) open(c *conn) *http.Request {
	x.context.conn, x.context.base = c, c.base
	x.request = *c.template.WithContext(&x.context) // the one way to set a context; its copy stays on the stack
	r := &x.request
	r.Method, r.URL, r.RequestURI, r.Host = x.head.method, &x.head.url, x.head.target, x.head.host
	r.Header, r.ContentLength, r.Close = x.head.header, x.head.length, x.head.close
	w := &x.response
	w.conn, w.request, w.buffers = c, r, c.server.takeBuffers()
	w.buffers.begin(x)
	if r.ContentLength > 0 {
		x.body.conn, x.body.request, x.body.left, x.body.closing = c, &x.context, r.ContentLength, r.Close
		r.Body, w.body = &x.body, &x.body
	}
	c.watch.start(&x.context, r.ContentLength > 0)
	return r
}

// close completes the exchange after the handler has returned. It reports whether the connection can have another one.
func (x *exchange) close() (again bool) {
	w, c := &x.response, x.response.conn
	x.context.end()
	if w.taken() {
		return false
	}
	w.finish()
	c.watch.stop()
	if form := w.request.MultipartForm; form != nil {
		_ = form.RemoveAll() // as net/http does
	}
	again = w.reusable()
	if w.body != nil {
		_ = x.body.Close()
		if x.body.unread() { // must not be taken for a request
			again = false
			w.gentle = w.gentle || !x.body.closing
		}
	}
	c.server.giveBuffers(w.release())
	return again && !c.failed && c.untimed()
}

// abandon ends the exchange of a panicked handler. Data in the response's second buffer is sent.
func (x *exchange) abandon(panicked any) {
	w, c := &x.response, x.response.conn
	if err, ok := panicked.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		c.server.logf("http: panic serving %s: %v\n%s", c.template.RemoteAddr, panicked, debug.Stack())
	}
	x.context.end()
	if w.taken() {
		return
	}
	c.watch.stop()
	if b := w.release(); b != nil {
		_ = b.out.Flush() // the client may be gone
		c.server.giveBuffers(b)
	}
	_ = c.Close() // ends a Read of the body that is in progress
	if w.body != nil {
		x.body.giveUp()
	}
}

const (
	// pendingBytes is the most that waits for a Content-Length, as in net/http.
	pendingBytes = 2 << 10
	// outBytes is the size of the buffer in front of the connection, as in net/http.
	outBytes = 4 << 10
	// keepBytes is the largest header buffer that is kept for other responses.
	keepBytes = 8 << 10
)

// buffers are the buffers of one response at a time.
type buffers struct {
	head    []byte        // the header; empty outside of calls, once it was sent
	pending *bufio.Writer // the beginning of the body
	out     *bufio.Writer // the response
}

func newBuffers() *buffers {
	return &buffers{
		head:    make([]byte, 0, 1<<10),
		pending: bufio.NewWriterSize(nil, pendingBytes),
		out:     bufio.NewWriterSize(nil, outBytes),
	}
}

// begin uses the buffers for a response.
func (b *buffers) begin(x *exchange) {
	b.pending.Reset(chunks{&x.response})
	b.out.Reset(wire{x})
}

// wire writes a response to the connection. An error ends the request's context.
type wire struct{ of *exchange }

// Write implements io.Writer.
func (w wire) Write(p []byte) (int, error) {
	n, err := w.of.response.conn.Write(p)
	if err != nil {
		w.of.context.end()
	}
	return n, err
}
