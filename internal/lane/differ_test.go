package lane_test

import (
	"bufio"
	"bytes"
	"errors"
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

	"github.com/vespo-dev/vespo/internal/halfclose"
	"github.com/vespo-dev/vespo/internal/lane/lanetest"
)

// patience bounds what a test waits for.
const patience = 20 * time.Second

// describe answers with everything that a handler can see of a request. It keeps nothing.
func describe(w http.ResponseWriter, r *http.Request) {
	spend(w)
	body, err := io.ReadAll(r.Body)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %q %s %d.%d host=%q length=%d close=%t te=%v trailer=%v\n", r.Method, r.RequestURI, r.Proto, r.ProtoMajor, r.ProtoMinor,
		r.Host, r.ContentLength, r.Close, r.TransferEncoding, r.Trailer)
	fmt.Fprintf(&b, "url=%#v tls=%t\n", *r.URL, r.TLS != nil && r.TLS.HandshakeComplete)
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s=%q\n", name, r.Header[name])
	}
	fmt.Fprintf(&b, "body=%q %v\n", body, err)
	_, _ = w.Write(b.Bytes())
}

// talk sends text in pieces on a connection, ends the sending side, and returns all that comes back.
func talk(addr string, pieces ...string) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	return talkOn(conn, pieces...)
}

// talkOn is talk on a connection, which it closes.
func talkOn(conn net.Conn, pieces ...string) (string, error) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	for i, piece := range pieces {
		if i > 0 {
			<-time.After(time.Millisecond) // so that the server reads them one by one
		}
		if _, err := io.WriteString(conn, piece); err != nil {
			break // the server has closed the connection
		}
	}
	_ = halfclose.CloseWrite(conn) // fails if the server has closed the connection
	answer, err := io.ReadAll(conn)
	if err != nil && errors.Is(err, net.ErrClosed) {
		return "", err
	}
	return string(answer), nil // a reset ends it, too
}

var dateField = regexp.MustCompile("Date: [^\r]+\r\n")

// same compares what two servers have sent. It shows the first difference alone.
func same(t *testing.T, want, got, sent string) {
	t.Helper()
	want, got = normal(want), normal(got)
	if want == got {
		return
	}
	at := 0
	for at < min(len(want), len(got)) && want[at] == got[at] {
		at++
	}
	from := max(0, at-300)
	t.Fatalf("%.200q:\nwant ...%.500q\n got ...%.500q", sent, want[from:], got[from:])
}

// normal returns responses with their fields in order and without Date. After one of unknown length, the rest stays as it is.
func normal(text string) string {
	text = dateField.ReplaceAllString(text, "")
	var b strings.Builder
	from := bufio.NewReader(strings.NewReader(text))
	for {
		if _, err := from.Peek(1); err != nil {
			return b.String()
		}
		var head []string
		for {
			line, err := from.ReadString('\n')
			if err != nil {
				return b.String() + "cut off: " + strings.Join(head, "") + line
			}
			if line == "\r\n" {
				break
			}
			head = append(head, line)
		}
		slices.Sort(head[1:])
		whole := strings.Join(head, "") + "\r\n"
		b.WriteString(whole)
		if strings.HasPrefix(whole, "HTTP/1.1 1") {
			continue
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(whole)), nil)
		if err != nil || resp.ContentLength < 0 { // the rest is compared as it is
			rest, _ := io.ReadAll(from)
			return b.String() + string(rest)
		}
		body := make([]byte, resp.ContentLength)
		n, _ := io.ReadFull(from, body)
		b.Write(body[:n])
	}
}

// heads are heads of requests, at the border of the subset and beyond it. Many are known from attacks on chains of
// servers that disagree.
var heads = []string{
	"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /a/b?c=d&e HTTP/1.1\r\nHost: example.com:80\r\nUser-Agent: x\r\nAccept: */*\r\nAccept: more\r\n\r\n",
	"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n",
	"OPTIONS /a HTTP/1.1\r\nHost: h\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nshort",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 05\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5 \r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent_Length: 5\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n1\r\nx\r\n0\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\nbody",
	"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
	"POST /a HTTP/1.1\r\nHost: h\r\nX: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
	"POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody",
	"POST /a HTTP/1.1\r\nHost: h\r\nTrailer: X\r\nContent-Length: 4\r\n\r\nbody",
	"GET / HTTP/1.0\r\n\r\n",
	"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
	"GET / HTTP/1.2\r\nHost: h\r\n\r\n",
	"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
	"GET / http/1.1\r\nHost: h\r\n\r\n",
	"GET /\r\n\r\n",
	"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /  HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
	" GET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
	"get / HTTP/1.1\r\nHost: h\r\n\r\n",
	"FOO / HTTP/1.1\r\nHost: h\r\n\r\n",
	"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
	"CONNECT /a HTTP/1.1\r\nHost: h\r\n\r\n",
	"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"GET http://other/a HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET //other/a HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /a? HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /a?? HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /a?b?c HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /%41%2f%zz HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /%41%2f!'()*;:@[]|\\^`{}\"<> HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /../a/./b HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost:\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a%20b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nConnection: close, x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nConnection: keep-alive\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nPragma: no-cache\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nPragma: no-cache\r\nCache-Control: x\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nX-Odd: a\tb\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nX-Odd: a\x00b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nX-Odd: a\xffb\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nX-Odd: a\rb\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nX-Odd: a\nb: c\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nX-Odd: a\r\n b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nX-Odd: a\r\n\tb\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nX Odd: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nX(Odd: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nx-lower_case.~: \t a \t\r\nempty:\r\n\r\n",
	"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
	"GET / HTTP/1.1\nHost: h\n\n",
	"GET / HTTP/1.1\nHost: h\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\n\n",
	"GET / HTTP/1.1\r\r\nHost: h\r\n\r\n",
	"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"\n\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
	"GET / HT", "", "\r", "\r\n\r\n",
	"GET /" + strings.Repeat("a", 3000) + " HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X: y\r\n", 600) + "\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("y", 5000) + "\r\n\r\n",
}

const (
	before = "POST /before HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
	after  = "GET /after HTTP/1.1\r\nHost: h\r\n\r\n"
)

// TestBothServersAgree sends the same bytes to net/http alone and with the lane in front: as the first request of a
// connection, as a later one, at once and byte by byte, and with another request behind.
func TestBothServersAgree(t *testing.T) {
	plain := lanetest.NetHTTP.Start(t, http.HandlerFunc(describe)).Addr
	fast := lanetest.Lane.Start(t, http.HandlerFunc(describe)).Addr
	for i, head := range heads {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			half := len(head) / 2
			for _, pieces := range [][]string{
				{head}, {head + after}, {before + head + after}, {before, head, after}, {before + "\r\n\r\n" + head}, {before + "\r\n", "\n\n\n" + head},
				{head[:half], head[half:] + after}, {head + head + head},
			} {
				want, err := talk(plain, pieces...)
				require.NoError(t, err)
				got, err := talk(fast, pieces...)
				require.NoError(t, err)
				same(t, want, got, strings.Join(pieces, "|"))
			}
		})
	}
}

// FuzzBothServersAgree is TestBothServersAgree for any bytes.
func FuzzBothServersAgree(f *testing.F) {
	for _, head := range heads {
		f.Add(head+after, 0)
		f.Add(before+head, len(before)+3)
	}
	plain := lanetest.NetHTTP.Start(f, http.HandlerFunc(describe)).Addr
	fast := lanetest.Lane.Start(f, http.HandlerFunc(describe)).Addr
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if strings.Contains(text, "HTTP/2") { // answered in frames
			return
		}
		cut = min(max(cut, 0), len(text))
		want, err := talk(plain, text)
		require.NoError(t, err)
		got, err := talk(fast, text[:cut], text[cut:])
		require.NoError(t, err)
		same(t, want, got, text)
	})
}
