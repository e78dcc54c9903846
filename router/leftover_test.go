package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// TestBodyIsNoRequest sends the end of an unread body after the response. The server must not parse it as a
// request: behind a proxy that shares connections among clients, its response would go to another client.
func TestBodyIsNoRequest(t *testing.T) {
	duplex := func(w http.ResponseWriter) error { return http.NewResponseController(w).EnableFullDuplex() }
	for name, serve := range map[string]HandlerFunc{
		"nothing is read": func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
			return duplex(w)
		},
		"an end is not waited for": func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
			if err := duplex(w); err != nil {
				return err
			}
			_, err := io.ReadFull(r.Body, make([]byte, 4))
			return err
		},
		"reading was given up": func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
			if err := duplex(w); err != nil {
				return err
			}
			rc := http.NewResponseController(w)
			if err := rc.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
				return err
			}
			_, err := io.Copy(io.Discard, r.Body)
			return problem.New(problem.RequestTimeout, "late").WithCause(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", serveOn(t, serve))
			require.NoError(t, err)
			defer conn.Close()
			const smuggled = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
			fmt.Fprintf(conn, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\nhalf", len("half"+smuggled))
			from := bufio.NewReader(conn)
			answer, err := http.ReadResponse(from, nil)
			require.NoError(t, err)
			require.True(t, answer.Close)
			_, err = io.Copy(io.Discard, answer.Body)
			require.NoError(t, err)
			_, _ = io.WriteString(conn, smuggled) // fails if the server is fast
			_, err = http.ReadResponse(from, nil)
			require.Error(t, err, "there is no second answer")
		})
	}
}

// TestBodyThatWasReadKeepsTheConnection reads the whole body in the same handler.
func TestBodyThatWasReadKeepsTheConnection(t *testing.T) {
	conn, err := net.Dial("tcp", serveOn(t, func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			return err
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = w.Write(body)
		}
		return err
	}))
	require.NoError(t, err)
	defer conn.Close()
	from := bufio.NewReader(conn)
	for range 3 {
		fmt.Fprint(conn, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody")
		answer, err := http.ReadResponse(from, nil)
		require.NoError(t, err)
		require.False(t, answer.Close)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, "body", string(body))
	}
}
