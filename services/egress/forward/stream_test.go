package forward_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// TestBodiesStream checks that both bodies pass while they are made, with their trailers, and that an early answer does.
func TestBodiesStream(t *testing.T) {
	a, _ := pair(t, func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "Sum")
		w.WriteHeader(http.StatusOK)
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			_, _ = fmt.Fprintln(w, "got", lines.Text())
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("Sum", r.Trailer.Get("Count"))
		return lines.Err()
	})
	conn, err := net.Dial("tcp", a.public.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: Count\r\n\r\n4\r\none\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	lines := bufio.NewReader(resp.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "got one\n", line)
	_, err = io.WriteString(conn, "4\r\ntwo\n\r\n0\r\nCount: 2\r\n\r\n")
	require.NoError(t, err)
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Equal(t, "got two\n", string(rest))
	require.Equal(t, "2", resp.Trailer.Get("Sum"))
}

// TestExpect checks that a client that waits for "100 Continue" gets it when the home reads the body, and that one that does not
// wait gets none.
func TestExpect(t *testing.T) {
	a, _ := pair(t, func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		if r.Rest == "/refuse" {
			w.WriteHeader(http.StatusForbidden)
			return nil
		}
		w.Header().Set("Expected", r.Header.Get("Expect"))
		body, err := io.ReadAll(r.Body)
		_, _ = w.Write(body)
		return err
	})
	for path, want := range map[string]string{"/a": "HTTP/1.1 100 Continue", "/a/refuse": "HTTP/1.1 403 Forbidden"} {
		conn, err := net.Dial("tcp", a.public.Listener.Addr().String())
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n", path)
		require.NoError(t, err)
		from := bufio.NewReader(conn)
		line, err := from.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, want, strings.TrimSpace(line))
		if path == "/a" {
			_, err = io.WriteString(conn, "hello")
			require.NoError(t, err)
			rest, err := io.ReadAll(from)
			require.NoError(t, err)
			require.Contains(t, string(rest), "HTTP/1.1 200 OK")
			require.Contains(t, string(rest), "Expected: 100-continue")
			require.Contains(t, string(rest), "hello")
		}
		require.NoError(t, conn.Close())
	}
	conn, err := net.Dial("tcp", a.public.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
	require.NoError(t, err)
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "HTTP/1.1 200"), "%s", text)
}

// TestAnswersBeforeTheBody lets a service begin its answer before it reads the body of a client that waits for "100 Continue".
func TestAnswersBeforeTheBody(t *testing.T) {
	a, b := pair(t, func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		body, err := io.ReadAll(r.Body)
		_, _ = w.Write(body)
		return err
	})
	conn, err := net.Dial("tcp", a.public.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	from := bufio.NewReader(conn)
	_, err = from.Peek(1) // "100 Continue", or the header of the answer
	require.NoError(t, err)
	_, err = io.WriteString(conn, "hello")
	require.NoError(t, err)
	text, err := io.ReadAll(from)
	require.NoError(t, err)
	require.Contains(t, string(text), "HTTP/1.1 200 OK")
	require.Contains(t, string(text), "hello")
	require.EqualValues(t, 1, b.runs.Load())
}

func TestBrokenAnswer(t *testing.T) {
	a, b := pair(t, func(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "part")
		_ = http.NewResponseController(w).Flush()
		return http.ErrAbortHandler
	})
	for n := range 2 {
		resp, err := a.public.Client().Do(a.request("GET", "/a", ""))
		if err == nil {
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
		}
		require.Error(t, err)
		require.Equal(t, accesslog.OutcomeBadAnswer, a.record().Outcome)
		require.EqualValues(t, n+1, b.runs.Load(), "the home is not to blame")
	}
}
