package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/runtime/abi"
)

func fail(code abi.OutboundCode, format string, args ...any) *abi.OutboundError {
	return &abi.OutboundError{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// call implements abi.OutboundCall. Without a body, the round trip runs in the goroutine that
// calls Send. With a body, it runs in a goroutine of the call, which ends before Close returns.
type call struct {
	exchange *exchange
	via      http.RoundTripper
	ctx      context.Context
	cancel   context.CancelFunc
	limits   Limits
	request  *http.Request

	headerBytes int
	length      int64 // as set by the guest; -1 if not set
	sent        int64
	body        *io.PipeWriter // nil until the first Write
	result      chan result    // from the goroutine
	late        atomic.Bool    // the response began before the request body ended
	stall       *time.Timer    // ends the body of a late call that makes no progress
	answer      *http.Response
	received    int64
	ended       bool // the response body was read to its end
	closed      bool
}

type result struct {
	answer *http.Response
	err    error
}

// AddHeader implements abi.OutboundCall.
func (c *call) AddHeader(name, value string) error {
	if c.headerBytes += len(name) + len(value) + abi.FieldOverheadBytes; c.headerBytes > c.limits.HeaderBytes {
		return fail(abi.OutboundTooLarge, "the request's header is larger than %d bytes", c.limits.HeaderBytes)
	}
	switch name {
	case CallerHeader:
		return fail(abi.OutboundInvalid, "the header %s is the host's", name)
	case "Host":
		c.request.Host = value
	case "Content-Length":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 || c.length >= 0 && c.length != n {
			return fail(abi.OutboundInvalid, "the content-length %.40q is not one", value)
		}
		c.length = n
	default:
		c.request.Header.Add(name, value)
	}
	return nil
}

// Write implements abi.OutboundCall.
func (c *call) Write(p []byte) error {
	if c.body == nil {
		c.begin()
	}
	if c.sent += int64(len(p)); c.sent > c.limits.BodyBytes {
		return fail(abi.OutboundTooLarge, "the request's body is larger than %d bytes", c.limits.BodyBytes)
	}
	if c.length >= 0 && c.sent > c.length {
		return fail(abi.OutboundBroken, "the request's body is longer than its content-length")
	}
	if c.late.Load() {
		c.stall.Reset(answeredPatience) // the server still reads the body
	}
	if _, err := c.body.Write(p); err != nil && !errors.Is(err, errAnswered) {
		return classify(err)
	}
	return nil
}

// answeredPatience is how long a server that has begun to answer may take to read the
// next piece of the body. The server may still be reading, or may want no more. In the
// latter case the rest of the body is dropped, and Send returns the response.
const answeredPatience = 2 * time.Second

// errAnswered ends the request body when the server reads no more of it.
var errAnswered = errors.New("answered before the end of the body")

func (c *call) begin() {
	var from *io.PipeReader
	from, c.body = io.Pipe()
	c.request.Body, c.request.ContentLength = from, c.length
	c.result = make(chan result, 1)
	c.stall = time.AfterFunc(time.Hour, func() { from.CloseWithError(errAnswered) })
	c.stall.Stop()
	go func() {
		answer, err := c.via.RoundTrip(c.request.WithContext(c.ctx))
		if err != nil {
			from.CloseWithError(err)
		} else {
			c.stall.Reset(answeredPatience)
			c.late.Store(true)
		}
		c.result <- result{answer, err}
	}()
}

// Send implements abi.OutboundCall.
func (c *call) Send() (status int, err error) {
	if c.body == nil {
		c.request.ContentLength = max(c.length, 0)
		if c.length > 0 {
			return 0, fail(abi.OutboundBroken, "the request has a content-length but no body")
		}
		c.answer, err = c.via.RoundTrip(c.request.WithContext(c.ctx))
	} else {
		if c.length > c.sent {
			c.body.CloseWithError(io.ErrUnexpectedEOF)
		} else {
			c.body.Close()
		}
		r := <-c.result
		c.result = nil
		c.stall.Stop()
		c.answer, err = r.answer, r.err
	}
	if err != nil {
		return 0, classify(err)
	}
	if c.answer.StatusCode < 200 || c.answer.StatusCode > 599 {
		return 0, fail(abi.OutboundBroken, "the answer's status is %d", c.answer.StatusCode)
	}
	return c.answer.StatusCode, nil
}

// Header implements abi.OutboundCall.
func (c *call) Header() abi.Header { return c.answer.Header }

// Trailer implements abi.OutboundCall. It leaves out fields that are not allowed as trailers.
func (c *call) Trailer() abi.Header {
	if !c.ended { // the transport may still write to it
		return nil
	}
	maps.DeleteFunc(c.answer.Trailer, func(name string, _ []string) bool { return !httpfield.Trailer(name) })
	return c.answer.Trailer
}

// Read implements abi.OutboundCall.
func (c *call) Read(p []byte) (int, error) {
	n, err := c.answer.Body.Read(p)
	if c.received += int64(n); c.received > c.limits.BodyBytes {
		return 0, fail(abi.OutboundTooLarge, "the answer's body is larger than %d bytes", c.limits.BodyBytes)
	}
	switch {
	case errors.Is(err, io.EOF):
		c.ended = true
	case err != nil:
		err = classify(err)
	}
	return n, err
}

// Close implements abi.OutboundCall.
func (c *call) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	c.exchange.open--
	c.exchange.client.open.Add(-1)
	c.cancel()
	if c.body != nil {
		c.body.CloseWithError(context.Canceled)
		c.stall.Stop()
	}
	if c.result != nil {
		if r := <-c.result; r.answer != nil {
			c.answer = r.answer
		}
	}
	if c.answer != nil {
		return c.answer.Body.Close()
	}
	return nil
}
