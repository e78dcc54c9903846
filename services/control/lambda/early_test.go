package lambda_test

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

	"github.com/vespo-dev/vespo/services/control/lambda"
)

// head sends the head of a request, without the body that it announces.
func (a *api) head(line string, bytes int, headers ...string) net.Conn {
	a.t.Helper()
	c, err := net.Dial("tcp", a.Addr)
	require.NoError(a.t, err)
	a.t.Cleanup(func() { c.Close() })
	require.NoError(a.t, c.SetDeadline(time.Now().Add(30*time.Second)))
	text := line + " HTTP/1.1\r\nHost: " + a.Addr + "\r\nExpect: 100-continue\r\n"
	for _, h := range headers {
		text += h + "\r\n"
	}
	_, err = io.WriteString(c, text+fmt.Sprintf("Content-Length: %d\r\n\r\n", bytes))
	require.NoError(a.t, err)
	return c
}

// TestRefusedWithoutBody checks that requests are rejected from their head if possible, and hold no memory.
func TestRefusedWithoutBody(t *testing.T) {
	keys := func(c *lambda.Config) { c.Keys, c.Manage = map[string]string{"ID": "a long enough secret"}, true }
	now := time.Now().UTC()
	credential := "Authorization: AWS4-HMAC-SHA256 Credential=%s/" + now.Format("20060102") + "/us-east-1/%s/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)
	date := "X-Amz-Date: " + now.Format("20060102T150405Z")
	hash := "X-Amz-Content-Sha256: " + strings.Repeat("0", 64)
	signed := func(id, service string) string { return fmt.Sprintf(credential, id, service) }
	allSigned := strings.Replace(signed("ID", "lambda"), "host;x-amz-date", "host;x-amz-content-sha256;x-amz-date", 1)
	for _, c := range []struct {
		name      string
		change    func(*lambda.Config)
		line      string
		bytes     int
		headers   []string
		status    int
		errorType string
	}{
		{"not signed", keys, "POST " + functions, lambda.MaxCodeBytes, nil, 403, "MissingAuthenticationTokenException"},
		{"no signature of this kind", keys, "POST " + invocations, 1, []string{"Authorization: Bearer x"}, 403, "IncompleteSignatureException"},
		{"another service", keys, "POST " + invocations, 1, []string{signed("ID", "s3"), date}, 403, "InvalidSignatureException"},
		{"unknown key", keys, "POST " + invocations, 1, []string{signed("OTHER", "lambda"), date}, 403, "UnrecognizedClientException"},
		{"too old", keys, "POST " + invocations, 1, []string{strings.Replace(signed("ID", "lambda"), now.Format("20060102"), "20200101", 1), "X-Amz-Date: 20200101T000000Z"}, 403, "InvalidSignatureException"},
		{"wrong, as the hash of the body shows", keys, "POST " + invocations, 1, []string{allSigned, date, hash}, 403, "InvalidSignatureException"},
		{"too large", keys, "POST " + invocations, 6<<20 + 1, []string{signed("ID", "lambda"), date}, 413, "RequestTooLargeException"},
		{"settings too large", managing, "PUT " + functions + "/fn/configuration", lambda.MaxSettingsBytes + 1, nil, 413, "RequestTooLargeException"},
		{"code too large", managing, "PUT " + functions + "/fn/code", lambda.MaxCodeBytes + 1, nil, 413, "RequestTooLargeException"},
		{"no such function", nil, "POST /2015-03-31/functions/none/invocations", 1, nil, 404, "ResourceNotFoundException"},
		{"no such function to change", managing, "PUT " + functions + "/none/code", lambda.MaxCodeBytes, nil, 404, "ResourceNotFoundException"},
		{"changes are not allowed", nil, "POST " + functions, lambda.MaxCodeBytes, nil, 403, "AccessDeniedException"},
		{"no such operation", nil, "POST /2015-03-31/event-source-mappings/", 1, nil, 404, "UnknownOperationException"},
		{"another origin", nil, "POST " + invocations, 1, []string{"Origin: http://evil.example"}, 403, "AccessDeniedException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAPI(t, c.change)
			conn := a.head(c.line, c.bytes, c.headers...)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Equal(t, c.status, resp.StatusCode)
			require.Equal(t, c.errorType, resp.Header.Get("X-Amzn-Errortype"))
			require.Zero(t, a.handler.Stats().Held.HeldBytes)
		})
	}
}

// TestRefusedDuringBody checks that a request is answered with its failure, and never with 200, if its
// body does not arrive: whether it is rejected by its head or waits for the body, and however long that is.
func TestRefusedDuringBody(t *testing.T) {
	for name, keys := range map[string]map[string]string{"MissingAuthenticationTokenException": {"ID": "a long enough secret"}, "RequestTimeout": nil} {
		for _, size := range []int{2, 300 << 10, 6 << 20} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				t.Parallel()
				a := newAPI(t, func(c *lambda.Config) { c.Keys = keys })
				conn, err := net.Dial("tcp", a.Addr)
				require.NoError(t, err)
				defer conn.Close()
				require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
				_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\nx", invocations, a.Addr, size)
				require.NoError(t, err)
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				defer resp.Body.Close()
				require.Equal(t, name, resp.Header.Get("X-Amzn-Errortype"))
				require.Contains(t, []int{http.StatusForbidden, http.StatusRequestTimeout}, resp.StatusCode)
				_, err = io.Copy(io.Discard, conn)
				require.NoError(t, err, "the connection ends")
			})
		}
	}
}

// TestGoneDuringBody checks that a client that ends its side before the body is complete is not answered 200.
func TestGoneDuringBody(t *testing.T) {
	a := newAPI(t, nil)
	conn, err := net.Dial("tcp", a.Addr)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n\r\nx", invocations, a.Addr)
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.NotContains(t, string(answer), "200 OK")
}

// TestHeldBySlowBodies checks that incomplete bodies hold only the received
// bytes and leave room for other requests, also to the same function.
func TestHeldBySlowBodies(t *testing.T) {
	a := newAPI(t, func(c *lambda.Config) { c.HeldBytes = 1 << 20 })
	var slow []net.Conn
	for range 40 {
		slow = append(slow, a.head("POST "+invocations, 6<<20))
	}
	for _, c := range slow {
		text := make([]byte, 1000)
		_, err := c.Read(text) // "100 Continue": the body is being read
		require.NoError(t, err)
		require.Contains(t, string(text), "100 Continue")
		_, err = c.Write([]byte("{"))
		require.NoError(t, err)
	}
	resp, body := a.do("POST", invocations, `{"a":1}`)
	require.Equal(t, 200, resp.StatusCode, body)
	for _, c := range slow {
		require.NoError(t, c.Close())
	}
}
