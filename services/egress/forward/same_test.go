package forward_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// told answers as its path says, and ends the answer with the request as it was received.
func told(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var seen []string
	for _, fields := range []http.Header{r.Header, r.Trailer} {
		var lines []string
		for name, values := range fields {
			lines = append(lines, fmt.Sprintf("%s=%q", name, values))
		}
		slices.Sort(lines)
		seen = append(seen, lines...)
	}
	seen = append(seen, fmt.Sprintf("%s %s %s %q %d %v %s", r.Method, r.RequestURI, r.Proto, r.Host, r.ContentLength, r.TransferEncoding, body))
	text := strings.Join(seen, "\n") + "\n"
	h := w.Header()
	switch r.Rest {
	case "/fields":
		h["Set-Cookie"] = []string{"a=1", "b=2"}
		h.Set("Date", "Mon, 02 Jan 2006 15:04:05 GMT")
		h.Set("Via", "1.1 service")
		h.Set("Server", "service")
		h.Set("Content-Type", "text/x")
		h.Set("Vary", "*")
	case "/length":
		h.Set("Content-Length", fmt.Sprint(len(text)))
	case "/trailers":
		h.Set("Trailer", "Sum")
		_, _ = io.WriteString(w, text)
		h.Set("Sum", "7")
		return nil
	case "/hints":
		h.Set("Link", "</a>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
	case "/304":
		h.Set("Etag", `"1"`)
		w.WriteHeader(http.StatusNotModified)
		return nil
	case "/204":
		w.WriteHeader(http.StatusNoContent)
		return nil
	case "/empty":
		w.WriteHeader(http.StatusOK)
		return nil
	case "/nothing":
		return nil
	case "/zero":
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusCreated)
		return nil
	case "/stream":
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
	}
	_, _ = io.WriteString(w, text)
	return nil
}

var (
	servedPattern = regexp.MustCompile(`Served-By: .\r\n`)
	datePattern   = regexp.MustCompile(`Date: [^\r]* (GMT)\r\n`)
	idPattern     = regexp.MustCompile(`[0-9a-f]{16}`)
)

// exchange sends bytes to the host, and returns all that it answers until it closes the connection.
func (h *host) exchange(request string) string {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.public.Listener.Addr().String())
	require.NoError(h.t, err)
	defer conn.Close()
	require.NoError(h.t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, request)
	require.NoError(h.t, err)
	text, err := io.ReadAll(bufio.NewReader(conn))
	require.NoError(h.t, err)
	return string(text)
}

// same returns an answer without what differs between any two.
func same(answer string) string {
	answer = servedPattern.ReplaceAllString(answer, "")
	if !strings.Contains(answer, "2006 15:04:05") {
		answer = datePattern.ReplaceAllString(answer, "Date: $1\r\n")
	}
	answer = idPattern.ReplaceAllString(answer, "ID")
	blocks := strings.Split(answer, "\r\n\r\n")
	for i, block := range blocks {
		lines := strings.Split(block, "\r\n")
		slices.Sort(lines) // the order of fields means nothing
		blocks[i] = strings.Join(lines, "\n")
	}
	return strings.Join(blocks, "\n\n")
}

// TestForwardedIsAsLocal sends the same bytes to a host that serves them, and to one that forwards them. The services get the same
// request, and the clients the same answer.
func TestForwardedIsAsLocal(t *testing.T) {
	local, first, holder := newHost(t, "l", told), newHost(t, "f", nil), newHost(t, "h", told)
	local.code.loaded.Store(true)
	holder.code.loaded.Store(true)
	holder.Receiver().HoldBy(heldBy(func() bool { return true }))
	first.place(patience, holder.at(token))
	const end = "Host: example.com\r\nConnection: close\r\n"
	for _, request := range []string{
		"GET /a HTTP/1.1\r\n" + end + "\r\n",
		"GET /a?x=%zz;1&+ HTTP/1.1\r\n" + end + "User-Agent: \r\nAccept-Encoding: br\r\n\r\n",
		"GET /a HTTP/1.0\r\nHost: x\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Connection: x\r\n\r\n",
		"GET /a HTTP/1.1\r\n" + end + "Proxy-Authorization: Basic eA==\r\nProxy-Authenticate: x\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
		"GET /a HTTP/1.1\r\n" + end + "Via: 1.0 x\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: y\r\nForwarded: for=192.0.2.9\r\nX-Real-Ip: 192.0.2.8\r\n\r\n",
		"GET /a HTTP/1.1\r\n" + end + "Range: bytes=0-1\r\nIf-None-Match: \"1\"\r\nCookie: a=1\r\nCookie: b=2\r\nX-Empty: \r\nX-Two: 1\r\nX-Two: 2\r\nDate: x\r\n\r\n",
		"POST /a HTTP/1.1\r\n" + end + "Content-Length: 5\r\n\r\nhello",
		"POST /a HTTP/1.1\r\n" + end + "Content-Length: 0\r\n\r\n",
		"POST /a HTTP/1.1\r\n" + end + "\r\n",
		"GET /a HTTP/1.1\r\n" + end + "Content-Length: 5\r\n\r\nhello",
		"PUT /a HTTP/1.1\r\n" + end + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"PUT /a HTTP/1.1\r\n" + end + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PUT /a HTTP/1.1\r\n" + end + "Transfer-Encoding: chunked\r\nTrailer: Sum, Other\r\n\r\n5\r\nhello\r\n0\r\nSum: 1\r\n\r\n",
		"DELETE /a HTTP/1.1\r\n" + end + "\r\n",
		"OPTIONS /a HTTP/1.1\r\n" + end + "\r\n",
		"QUERY /a HTTP/1.1\r\n" + end + "Content-Length: 1\r\n\r\nx",
	} {
		for _, path := range []string{"/a/fields", "/a/length", "/a/trailers", "/a/hints", "/a/304", "/a/204", "/a/empty", "/a/nothing", "/a/zero", "/a/stream", "/a"} {
			for _, head := range []bool{false, true} {
				own := strings.Replace(request, " /a", " "+path, 1)
				if head {
					if !strings.HasPrefix(own, "GET") {
						continue
					}
					if path == "/a/trailers" { // the field Trailer of such an answer is lost
						continue
					}
					own = "HEAD" + strings.TrimPrefix(own, "GET")
				}
				t.Run(strings.ReplaceAll(own, "\r\n", "|"), func(t *testing.T) {
					local.t, first.t, holder.t = t, t, t
					want, got := local.exchange(own), first.exchange(own)
					require.Equal(t, same(want), same(got))
				})
			}
		}
	}
	require.NotZero(t, holder.runs.Load())
	require.Equal(t, local.runs.Load(), holder.runs.Load())
}
