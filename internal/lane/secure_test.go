package lane_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane"
	"github.com/vespo-dev/vespo/internal/lane/lanetest"
)

// dialTLS connects with TLS, for protocols that the client offers.
func dialTLS(addr string, protocols ...string) (net.Conn, error) {
	return tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
}

// TestBothServersAgreeOverTLS is TestBothServersAgree on connections with TLS.
func TestBothServersAgreeOverTLS(t *testing.T) {
	plain := lanetest.NetHTTP.StartTLS(t, http.HandlerFunc(describe)).Addr
	fast := lanetest.Lane.StartTLS(t, http.HandlerFunc(describe)).Addr
	for i, head := range heads {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			half := len(head) / 2
			for j, pieces := range [][]string{{head + after}, {before, head, after}, {before + head[:half], head[half:] + after}} {
				var answers []string
				for _, addr := range []string{plain, fast} {
					conn, err := dialTLS(addr, [][]string{nil, {"http/1.1"}}[j%2]...)
					require.NoError(t, err)
					answer, err := talkOn(conn, pieces...)
					require.NoError(t, err)
					answers = append(answers, answer)
				}
				same(t, answers[0], answers[1], strings.Join(pieces, "|"))
			}
		})
	}
}

// TestHandshakes compares connections whose handshake fails or leads to another protocol.
func TestHandshakes(t *testing.T) {
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		s := kind.StartTLS(t, http.HandlerFunc(describe))
		t.Run("HTTP/2", func(t *testing.T) {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
			defer client.CloseIdleConnections()
			resp, err := client.Get("https://" + s.Addr + "/a")
			require.NoError(t, err)
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, 2, resp.ProtoMajor)
			require.Contains(t, string(text), "tls=true")
		})
		t.Run("without TLS", func(t *testing.T) {
			answer, err := talk(s.Addr, after)
			require.NoError(t, err)
			require.Equal(t, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n", answer)
		})
		t.Run("no protocol in common", func(t *testing.T) {
			_, err := dialTLS(s.Addr, "other")
			require.ErrorContains(t, err, "no application protocol")
		})
		t.Run("no handshake", func(t *testing.T) {
			answer, err := talk(s.Addr, "")
			require.NoError(t, err)
			require.Empty(t, answer)
		})
	})
}

// startHTTP2 starts a server that recognises HTTP/2 by its preface, with TLS.
func startHTTP2(t *testing.T, kind lanetest.Kind, h http.HandlerFunc) *lanetest.Server {
	t.Helper()
	return kind.StartTLSWith(t, h, func(s *http.Server) {
		s.Protocols = new(http.Protocols)
		s.Protocols.SetHTTP1(true)
		s.Protocols.SetHTTP2(true)
		s.Protocols.SetUnencryptedHTTP2(true)
	})
}

// TestHTTP2OverTLS compares requests of HTTP/2, whose connection is wrapped if it comes from the lane.
func TestHTTP2OverTLS(t *testing.T) {
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		s := startHTTP2(t, kind, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, r.Proto, r.URL, r.RemoteAddr != "", r.TLS.NegotiatedProtocol, r.TLS.HandshakeComplete)
		})
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
		defer client.CloseIdleConnections()
		for range 3 {
			resp, err := client.Get("https://" + s.Addr + "/a")
			require.NoError(t, err)
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, "HTTP/2.0 /a true h2 true\n", string(text))
		}
		if kind == lanetest.Lane {
			require.EqualValues(t, 1, s.Lane.Stats().Left[lane.Protocol])
		}
	})
}

// TestAnotherProtocolThanChosen checks that a client which has chosen HTTP/2 cannot speak HTTP/1.1.
func TestAnotherProtocolThanChosen(t *testing.T) {
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		s := startHTTP2(t, kind, func(http.ResponseWriter, *http.Request) { t.Error("a request") })
		const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
		for _, pieces := range [][]string{{after}, {after, preface, after}, {preface[:18]}, {preface[:18], after}, {preface[:20] + after}, {preface[:3], after}} {
			conn, err := dialTLS(s.Addr, "h2")
			require.NoError(t, err)
			answer, err := talkOn(conn, pieces...)
			require.NoError(t, err)
			require.NotContains(t, answer, "HTTP/1", pieces)
		}
	})
}

// TestClientGoneOverTLS checks that a request ends with its client.
func TestClientGoneOverTLS(t *testing.T) {
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		began, ended := make(chan struct{}), make(chan struct{})
		s := kind.StartTLS(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(began)
			<-r.Context().Done()
			close(ended)
		}))
		conn, err := dialTLS(s.Addr)
		require.NoError(t, err)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		receive(t, began)
		require.NoError(t, conn.Close())
		receive(t, ended)
	})
}

// TestTLSStaysInTheLane checks which connections the lane keeps, and that a watch of the client does not end one.
func TestTLSStaysInTheLane(t *testing.T) {
	s := lanetest.Lane.StartTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.Context().Done()
		describe(w, r)
	}))
	conn, err := dialTLS(s.Addr, "http/1.1")
	require.NoError(t, err)
	defer conn.Close()
	from := bufio.NewReader(conn)
	for range 3 {
		require.Equal(t, http.StatusOK, ask(t, conn, from, "/").StatusCode)
		require.Equal(t, 1, s.Lane.Stats().Open)
	}
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
	resp, err := http.ReadResponse(from, nil)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), "tls=true")
	require.Contains(t, string(text), `body="x"`)
	require.Zero(t, s.Lane.Stats().Open)
}
