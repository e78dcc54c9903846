package guest

import (
	"io"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// responseBufferBytes is the size of the response buffer. If a handler panics before the buffer is first flushed, the
// client gets a complete response with status 500.
const responseBufferBytes = 8 << 10

// A Response is the HTTP response to the current request. It is an [io.Writer] of the response's body with a buffer of
// 8 KiB. Set the status and the header before the buffer is first flushed: they are sent with the first bytes of the body.
//
// If the handler changes nothing, the response has status 200 and an empty body.
type Response struct {
	Header  Header
	Trailer Header // may be changed until the handler returns

	buffered int  // bytes in buffer
	sent     bool // the host has the header and the first bytes of the body

	bodyEnded bool // Read has reached the end of the next handler's body

	buffer [responseBufferBytes]byte // last: a short response writes only its beginning
}

func (w *Response) start() {
	w.Header = Header{abi.KindResponse}
	w.Trailer = Header{abi.KindResponseTrailers}
	w.buffered = 0
	w.sent, w.bodyEnded = false, false
}

// SetStatus sets the status code. It must be from 200 to 599; for other values, the client gets status 502. After the
// buffer was flushed, SetStatus only logs a warning.
func (w *Response) SetStatus(status int) {
	if w.sent {
		Log(LevelWarn, "guest: SetStatus comes too late, the response's header is sent")
		return
	}
	abi.SetStatus(uint32(status))
}

// Write appends p to the body. The bytes are buffered until the buffer of 8 KiB is full, [Response.Flush] is called or
// the handler returns. Write always returns len(p) and a nil error.
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

// WriteString appends s to the body. It is like [Response.Write], without the conversion to bytes.
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

// ReadFrom appends the data of from to the body, until from returns [io.EOF] or another error. It calls
// [Response.Flush] after each read, so that slow data is sent as it arrives. It implements [io.ReaderFrom]; [io.Copy] uses
// it to copy without allocating a buffer.
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

// Flush passes the buffered bytes to the host, which sends them to the client. The status and the header are sent with
// the first bytes and cannot be changed after that. Flush does nothing if the buffer is empty, because http-wasm cannot
// send a header without a body.
//
// Vespo sends the bytes when the guest next waits (for the request's body, an outbound call, or timers of 20 ms in
// total), when more than 4 KiB have gathered, or when the handler returns.
func (w *Response) Flush() {
	if w.buffered == 0 {
		return
	}
	abi.WriteBody(abi.KindResponse, w.buffer[:w.buffered])
	w.buffered = 0
	w.sent = true
}

// Text sets the status, sets the content type to plain text in UTF-8 and appends text to the body. It is a convenience
// for short responses such as error messages.
func (w *Response) Text(status int, text string) {
	w.SetStatus(status)
	w.Header.Set("content-type", "text/plain; charset=utf-8")
	w.WriteString(text)
}
