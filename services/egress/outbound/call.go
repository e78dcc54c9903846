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
	"github.com/vespo-dev/vespo/internal/readahead"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/runtime/abi"
)

func fail(code abi.OutboundCode, format string, args ...any) *abi.OutboundError {
	return &abi.OutboundError{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// call implements abi.OutboundCall. A call without a body that is not polled makes its round trip in the
// goroutine that calls Send. All others make it in a goroutine of the call, which ends before Close returns.
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
	body        *io.PipeWriter // nil until the request begins with a body
	finished    bool           // the body was ended
	trailer     http.Header    // of the request; nil for none
	late        atomic.Bool    // the response began before the request body ended
	stall       *time.Timer    // ends the body of a late call that makes no progress; nil without a body
	behind      writeBehind

	span     *span.Span     // written by the goroutine of the round trip, like answer; nil if the request is not traced
	answered chan struct{}  // closed by the goroutine of the round trip; nil without one
	answer   *http.Response // written by that goroutine, like failed
	failed   error          // of the round trip

	ahead    readahead.Reader // of the response body
	received int64
	ended    bool // the response body was read to its end
	closed   bool
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
	if c.finished {
		return fail(abi.OutboundBadState, "the request's body has ended")
	}
	c.begin()
	if c.sent += int64(len(p)); c.sent > c.limits.BodyBytes {
		return fail(abi.OutboundTooLarge, "the request's body is larger than %d bytes", c.limits.BodyBytes)
	}
	if c.length >= 0 && c.sent > c.length {
		return fail(abi.OutboundBroken, "the request's body is longer than its content-length")
	}
	if c.late.Load() {
		c.stall.Reset(answeredPatience) // the server still reads the body
	}
	return writeError(c.behind.write(c.body, p))
}

// writeError returns the error for an error of writing the body.
func writeError(err error) error {
	if err == nil || errors.Is(err, errAnswered) {
		return nil
	}
	return classify(err)
}

// answeredPatience is how long a server that has begun to answer may take to read the
// next piece of the body. The server may still be reading, or may want no more. In the
// latter case the rest of the body is dropped, and Send returns the response.
const answeredPatience = 2 * time.Second

// roundTrip sends the request, in the name of the request that the guest serves.
func (c *call) roundTrip() (*http.Response, error) {
	origin := &c.exchange.origin
	origin.identify(c.request.Header)
	if origin.Span == nil {
		return c.via.RoundTrip(c.request)
	}
	name, method := span.Method(c.request.Method)
	c.span = origin.Span.Child(span.Client, name)
	c.span.Replace(origin.Span, c.request.Header)
	c.span.Text("http.request.method", method)
	c.span.Text("url.scheme", c.request.URL.Scheme)
	c.span.Text("url.path", c.request.URL.EscapedPath())
	c.span.Address(c.request.URL.Host)
	resp, err := c.via.RoundTrip(c.request)
	if err != nil {
		c.span.Fail(reasonOf(err))
		return nil, err
	}
	c.span.Status(resp.StatusCode)
	return resp, nil
}

// reasonOf returns the attribute error.type of a failed round trip.
func reasonOf(err error) string {
	var known *abi.OutboundError
	if !errors.As(classify(err), &known) {
		return "_OTHER"
	}
	switch known.Code {
	case abi.OutboundForbidden:
		return "forbidden"
	case abi.OutboundDeadline:
		return string(accesslog.OutcomeDeadline)
	case abi.OutboundUnreachable:
		return string(accesslog.OutcomeUnreachable)
	case abi.OutboundBroken:
		return string(accesslog.OutcomeBadAnswer)
	}
	return "_OTHER"
}

// errAnswered ends the request body when the server reads no more of it.
var errAnswered = errors.New("answered before the end of the body")

// begin starts the round trip of a request with a body, if it has not begun.
func (c *call) begin() {
	if c.body != nil {
		return
	}
	var from *io.PipeReader
	from, c.body = io.Pipe()
	c.request.Body, c.request.ContentLength = c.announce(from), c.length
	c.stall = time.AfterFunc(time.Hour, func() { from.CloseWithError(errAnswered) })
	c.stall.Stop()
	expired := context.AfterFunc(c.ctx, func() { from.CloseWithError(c.ctx.Err()) }) // the transport waits for the body before it returns
	c.start(func(err error) {
		expired()
		if err != nil {
			from.CloseWithError(err)
			return
		}
		c.stall.Reset(answeredPatience)
		c.late.Store(true)
	})
}

// start makes the round trip in a goroutine, which calls done with its error.
func (c *call) start(done func(error)) {
	c.answered = make(chan struct{})
	go func() {
		defer close(c.answered)
		c.answer, c.failed = c.roundTrip()
		if err := c.ctx.Err(); err != nil && c.failed != nil { // the reason, even if the transport noticed another first
			c.failed = fmt.Errorf("%w: %w", err, c.failed)
		}
		done(c.failed)
	}()
}

// End implements abi.OutboundCall.
func (c *call) End() error {
	switch {
	case c.finished:
		return nil
	case c.body == nil && c.trailer == nil:
		if err := c.withoutBody(); err != nil {
			return err
		}
		c.start(func(error) {})
		return nil
	}
	c.begin()
	c.finished = true
	var short error
	if c.length > c.sent {
		short = io.ErrUnexpectedEOF
	}
	return writeError(c.behind.end(c.body, short))
}

// withoutBody ends a body that has not begun.
func (c *call) withoutBody() error {
	c.finished = true
	c.request.ContentLength = max(c.length, 0)
	if c.length > 0 {
		return fail(abi.OutboundBroken, "the request has a content-length but no body")
	}
	return nil
}

// Send implements abi.OutboundCall.
func (c *call) Send() (status int, err error) {
	if c.answered == nil && !c.finished && c.trailer == nil {
		if err := c.withoutBody(); err != nil {
			return 0, err
		}
		c.answer, c.failed = c.roundTrip()
	} else if err := c.awaitAnswer(); err != nil {
		return 0, err
	}
	return c.result()
}

// Status implements abi.OutboundCall.
func (c *call) Status() (status int, err error) {
	if c.answered == nil {
		return c.Send()
	}
	<-c.answered
	return c.result()
}

// result returns the status of the answer or the failure of the round trip.
func (c *call) result() (status int, err error) {
	switch {
	case c.failed != nil:
		return 0, classify(c.failed)
	case c.answer == nil:
		return 0, fail(abi.OutboundBadState, "the request was not sent")
	case c.answer.StatusCode < 200 || c.answer.StatusCode > 599:
		return 0, fail(abi.OutboundBroken, "the answer's status is %d", c.answer.StatusCode)
	}
	c.ahead.Reset(c.answer.Body, c.cancel)
	return c.answer.StatusCode, nil
}

// awaitAnswer ends the body and waits for the end of the round trip.
func (c *call) awaitAnswer() error {
	if err := writeError(c.behind.settle()); err != nil {
		return err
	}
	if err := c.End(); err != nil || c.answered == nil {
		return err
	}
	<-c.answered
	if c.stall != nil {
		c.stall.Stop()
	}
	return nil
}

// Writable implements abi.OutboundCall.
func (c *call) Writable() <-chan struct{} {
	if !c.finished {
		c.begin()
	}
	return c.behind.ready()
}

// Answered implements abi.OutboundCall.
func (c *call) Answered() <-chan struct{} {
	if !c.finished {
		c.begin()
	}
	if c.answered == nil { // Send has made the round trip
		return closed()
	}
	return c.answered
}

// Ready implements abi.Source for the response body.
func (c *call) Ready() <-chan struct{} { return c.ahead.Ready() }

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
	n, err := c.ahead.Read(p)
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
	c.behind.goroutines.Wait()
	if c.answered != nil {
		<-c.answered
	}
	c.ahead.Stop()
	defer c.span.End()
	if c.answer != nil {
		return c.answer.Body.Close()
	}
	return nil
}
