package client

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// Drain discards what the client of r still sends of body, and returns how that ended. Many clients send all of a
// body before they read the response, and closing the connection would reset it before they see that. A client that
// sends more than Terms.Bytes gets the end of the response before the end of the connection.
func Drain(w http.ResponseWriter, r *http.Request, body io.Reader, t Terms) End {
	b := newBody(w, r, body, t)
	defer b.Stop()
	_, _ = io.Copy(io.Discard, b) // the end has the reason
	if b.End() == TooLarge {
		closeGently(w)
	}
	return b.End()
}

// SoonDone returns the terms for a body that must end within Leftover.
func SoonDone() Terms { return Terms{Until: time.Now().Add(Leftover)} }

// closeGently lets an HTTP/1 server close its side of the connection first, so that the client has time to read the
// response. http.MaxBytesReader is the only way to ask that of net/http.
func closeGently(w http.ResponseWriter) {
	own := serverWriter(w)
	if gentle, ok := own.(interface{ CloseGently() }); ok { // of package lane
		gentle.CloseGently()
		return
	}
	over := http.MaxBytesReader(own, io.NopCloser(strings.NewReader("x")), 0)
	_, _ = over.Read(make([]byte, 1))
}

// serverWriter returns the HTTP server's own ResponseWriter.
func serverWriter(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}

// Bound returns a handler that bounds how long a client may hold a connection without sending the body that it
// has announced, or an HTTP/2 stream without reading the end of the response. A Body or a Writer sets other
// bounds while it is used. A body of HTTP/2 that is declared to be empty becomes http.NoBody: a stream can end later.
func Bound(next http.Handler, body, answer time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			Conn{w}.readBy(time.Now().Add(body))
		}
		if r.ProtoMajor > 1 { // a stream can block without its connection
			defer func() { Conn{w}.writeBy(time.Now().Add(answer)) }()
			if r.ContentLength == 0 && r.Trailer == nil {
				r.Body = http.NoBody // net/http has given the request away, and keeps the stream's body itself
			}
		}
		next.ServeHTTP(w, r)
	})
}
