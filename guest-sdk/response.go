package guest

import (
	"io"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// responseBufferBytes is how much of a body waits to be sent. A handler that panics before it has written more than that
// leaves the client with a clean 500.
const responseBufferBytes = 8 << 10

// Response is the answer to the request at hand: status 200 and an empty body, if the handler does nothing to it.
type Response struct {
	Header  Header
	Trailer Header // may be set until the handler returns

	buffer   [responseBufferBytes]byte
	buffered int  // bytes waiting
	sent     bool // header and a first piece of the body are with the host

	bodyEnded bool // all was read of the answer of what is behind the guest
}

// response is the only one, as a guest serves one request at a time. Off the heap its buffer costs host pages as used only.
var response Response

func (w *Response) start() {
	w.Header = Header{abi.KindResponse}
	w.Trailer = Header{abi.KindResponseTrailers}
	w.buffered = 0
	w.sent, w.bodyEnded = false, false
}

// SetStatus sets the response's status, from 200 to 599. Once a part of the body is sent this has no effect but a warning in
// the log.
func (w *Response) SetStatus(status int) {
	if w.sent {
		Log(LevelWarn, "guest: SetStatus comes too late, the response's header is sent")
		return
	}
	abi.SetStatus(uint32(status))
}

// Write adds to the body. What does not fill the buffer of 8 KiB waits for more, for Flush, or for the handler's return.
func (w *Response) Write(p []byte) (int, error) {
	if len(p) > len(w.buffer)-w.buffered {
		w.Flush()
		if len(p) >= len(w.buffer) {
			abi.WriteBody(abi.KindResponse, p)
			w.sent = true
			return len(p), nil
		}
	}
	w.buffered += copy(w.buffer[w.buffered:], p)
	return len(p), nil
}

// WriteString adds to the body, as Write does.
func (w *Response) WriteString(s string) (int, error) {
	if len(s) > len(w.buffer)-w.buffered {
		w.Flush()
		if len(s) >= len(w.buffer) {
			abi.WriteBodyString(abi.KindResponse, s)
			w.sent = true
			return len(s), nil
		}
	}
	w.buffered += copy(w.buffer[w.buffered:], s)
	return len(s), nil
}

// ReadFrom adds all of the reader to the body, and sends each piece as it is read. [io.Copy] uses it, so that a body which
// arrives slowly is passed on as slowly, without a buffer of its own.
func (w *Response) ReadFrom(from io.Reader) (int64, error) {
	total := int64(0)
	for {
		n, err := from.Read(w.buffer[w.buffered:])
		w.buffered += n
		total += int64(n)
		w.Flush()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// Flush sends what waits in the buffer. The response's header goes with it, hence must be complete; to send the header alone
// is not possible in this interface, so Flush does nothing while nothing waits.
func (w *Response) Flush() {
	if w.buffered == 0 {
		return
	}
	abi.WriteBody(abi.KindResponse, w.buffer[:w.buffered])
	w.buffered = 0
	w.sent = true
}

// Text answers with a status and a short text: a convenience for errors and the like.
func (w *Response) Text(status int, text string) {
	w.SetStatus(status)
	w.Header.Set("content-type", "text/plain; charset=utf-8")
	w.WriteString(text)
}
