package router

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
)

// bodyServer has an echo service at /a, behind a gate of the capacity. Requests are
// admitted with a part of their body.
type bodyServer struct {
	address string
	gate    *admission.Gate
	limiter *admission.Limiter

	mu      sync.Mutex
	records []accesslog.Record
}

func serveBodies(t *testing.T, capacity int, readTimeout time.Duration) *bodyServer {
	t.Helper()
	s := &bodyServer{gate: admission.NewGate(capacity)}
	s.limiter = s.gate.NewLimiter(admission.Limits{BodyFirst: true})
	rt := New(Config{AccessLog: func(rec *accesslog.Record) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.records = append(s.records, *rec)
	}})
	table, err := BuildTable([]*Route{NewRoute(Binding{
		Key:     routekey.Key{Prefix: "/a"},
		Service: "a",
		Limiter: s.limiter,
		Handler: HandlerFunc(func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "%s %v", body, r.Trailer)
			return err
		}),
	})})
	require.NoError(t, err)
	rt.Publish(table)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if readTimeout > 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
		}
		rt.ServeHTTP(w, r)
	})
	server := httptest.NewUnstartedServer(client.Bound(handler, time.Hour, time.Hour))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	s.address = server.Listener.Addr().String()
	return s
}

func (s *bodyServer) dial(t *testing.T, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	return conn, bufio.NewReader(conn)
}

func answerOf(t *testing.T, r *bufio.Reader) (status int, body string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// A body whose chunked coding is invalid is a bad request before it takes a place, and so it is for a handler that passes on the error of a later
// read through internal/client.
func TestMalformedBodiesTakeNoCapacity(t *testing.T) {
	s := serveBodies(t, 1, 0)
	for _, body := range []string{"zz\r\n", "\r\n", "fffffffffffffffffffff\r\n", "0x1\r\nx\r\n"} {
		_, r := s.dial(t, "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
		status, text := answerOf(t, r)
		require.Equal(t, http.StatusBadRequest, status, body)
		require.Contains(t, text, "chunked coding")
	}
	require.Zero(t, s.limiter.Stats().Admitted)
}

// Announced bodies that are never sent take no capacity: on one HTTP/2 connection, or on
// many HTTP/1 connections.
func TestSilentBodiesTakeNoCapacity(t *testing.T) {
	s := serveBodies(t, 1, 0)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for range 100 {
		body, _ := io.Pipe()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+"/a", body)
		require.NoError(t, err)
		req.ContentLength = 100
		all.Go(func() { _, _ = transport.RoundTrip(req) })
	}
	for range 20 {
		s.dial(t, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
		s.dial(t, "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
		_, r := s.dial(t, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello")
		status, body := answerOf(t, r)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "hello map[]", body)
	}
	require.EqualValues(t, 20, s.limiter.Stats().Admitted)
}

// A body of zero bytes is there from the start, even if the client of HTTP/2 never ends it.
func TestEmptyBodyIsNotAwaited(t *testing.T) {
	s := serveBodies(t, 1, 0)
	conn, r := s.dial(t, http2.ClientPreface)
	var head bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/a"}, {"content-length", "0"}} {
		require.NoError(t, encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	framer := http2.NewFramer(conn, r)
	require.NoError(t, framer.WriteSettings())
	require.NoError(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true}))
	for {
		frame, err := framer.ReadFrame()
		require.NoError(t, err)
		if data, ok := frame.(*http2.DataFrame); ok {
			require.Equal(t, " map[]", string(data.Data()))
			return
		}
	}
}

// The handler gets the part read before admission again, for any kind of body.
func TestBodiesArriveWhole(t *testing.T) {
	s := serveBodies(t, 1, time.Minute)
	long := strings.Repeat("0123456789", 10*firstPartBytes)
	for text, want := range map[string]string{
		"GET /a HTTP/1.1\r\nHost: h\r\n\r\n":                                                                    " map[]",
		"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n":                                              " map[]",
		"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                            " map[]",
		"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nSum: 1\r\n\r\n":        "x map[Sum:[1]]",
		"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc":                                           "abc map[]",
		fmt.Sprintf("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(long), long):             long + " map[]",
		fmt.Sprintf("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", firstPartBytes, long[:4096]): long[:4096] + " map[]",
	} {
		_, r := s.dial(t, text+"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
		status, body := answerOf(t, r)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, want, body)
		status, body = answerOf(t, r)
		require.Equal(t, http.StatusOK, status, "the next request on the connection")
		require.Equal(t, " map[]", body)
	}
}

// A part is enough: a client may wait for the beginning of the response before it sends the rest.
func TestAPartOfABodyIsEnough(t *testing.T) {
	s := serveBodies(t, 1, time.Minute)
	conn, r := s.dial(t, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello")
	require.Eventually(t, func() bool { return s.limiter.Stats().InFlight == 1 }, time.Minute, time.Millisecond)
	_, err := io.WriteString(conn, "world")
	require.NoError(t, err)
	_, body := answerOf(t, r)
	require.Equal(t, "helloworld map[]", body)
}

func TestTheFirstPartHasATime(t *testing.T) {
	s := serveBodies(t, 1, time.Millisecond)
	_, r := s.dial(t, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
	status, body := answerOf(t, r)
	require.Equal(t, http.StatusRequestTimeout, status)
	require.Contains(t, body, "request-timeout")
	require.Zero(t, s.limiter.Stats().Admitted)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Positive(t, s.records[0].BodyWait)
	require.EqualValues(t, "refused", s.records[0].Outcome)
}

// Requests with Expect are admitted without a body while there is spare capacity.
func TestExpectIsAdmittedWhileThereIsRoom(t *testing.T) {
	s := serveBodies(t, 4, 0)
	const ask = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	var asked []net.Conn
	for i := range 6 {
		conn, r := s.dial(t, ask)
		line, err := r.ReadString('\n') // sent when the handler or the router reads
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
		require.Equal(t, min(i+1, 2), s.gate.Stats().InFlight)
		asked = append(asked, conn)
	}
	for _, conn := range asked {
		require.NoError(t, conn.Close())
	}
}

// TestExpectLeavesHalfOfTheServiceToOthers has a service with few places, on a server with many.
func TestExpectLeavesHalfOfTheServiceToOthers(t *testing.T) {
	s := serveBodies(t, 64, 0)
	s.limiter.Limit(2)
	for range 4 {
		conn, r := s.dial(t, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
		require.Equal(t, 1, s.limiter.Stats().InFlight)
		defer conn.Close()
	}
	_, r := s.dial(t, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
	status, _ := answerOf(t, r)
	require.Equal(t, http.StatusOK, status)
}

// TestRestOfStreamIsTaken checks that a stream is not reset while its
// client sends the rest of a body of known length, after the response.
func TestRestOfStreamIsTaken(t *testing.T) {
	rt := New(Config{})
	table, err := BuildTable([]*Route{NewRoute(Binding{
		Key:     routekey.Key{Prefix: "/a"},
		Service: "a",
		Handler: HandlerFunc(func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
			_, err := io.WriteString(w, "early")
			return err
		}),
	})})
	require.NoError(t, err)
	rt.Publish(table)
	server := httptest.NewUnstartedServer(rt)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	transport := &http.Transport{Protocols: server.Config.Protocols}
	defer transport.CloseIdleConnections()
	body, rest := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/a", body)
	require.NoError(t, err)
	req.ContentLength = 4 << 20
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	_, err = rest.Write(make([]byte, req.ContentLength))
	require.NoError(t, err)
	require.NoError(t, rest.Close())
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "early", string(text))
	require.NoError(t, resp.Body.Close())
}

// TestBodyOfARetiredRoute lets a route give a request back whose body was partly read before it was admitted. The route of the newer table has all of it.
func TestBodyOfARetiredRoute(t *testing.T) {
	for _, first := range []bool{false, true} {
		b := binding("/a", HandlerFunc(func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
			body, err := io.ReadAll(r.Body)
			_, _ = w.Write(body)
			return err
		}))
		newer := b
		var h *house
		b.Limiter = admission.NewGate(1).NewLimiter(admission.Limits{BodyFirst: true})
		newer.Limiter = admission.NewGate(1).NewLimiter(admission.Limits{BodyFirst: first})
		b.Handler = HandlerFunc(func(http.ResponseWriter, *Request, *accesslog.Result) error {
			h.publish(newer)
			return ErrAgain
		})
		h = newHouse(t, Config{}, b)
		for _, size := range []int{5, 3 * firstPartBytes} {
			h.publish(b)
			sent := strings.Repeat("x", size-1) + "y"
			answer, body := h.do("POST", "/a", strings.NewReader(sent))
			require.Equal(t, http.StatusOK, answer.StatusCode)
			require.Equal(t, len(sent), len(body))
			require.EqualValues(t, size, h.record().BytesIn)
		}
	}
}
