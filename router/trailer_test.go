package router

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// forbidden are some of the fields not allowed as trailers, and alternative spellings of them.
var forbidden = []string{"Host", "Transfer-Encoding", "Content-Length", "Set-Cookie", "X-Request-Id", "X-Forwarded-For", "Authorization", "Content_Type",
	"Set_Cookie", "Location", "Vespo-Caller"}

// newTrailerServer serves /t with a handler that returns the trailers of the request as
// trailers of the response.
func newTrailerServer(t *testing.T, seen chan<- http.Header, announce bool) *httptest.Server {
	t.Helper()
	rt := New(Config{})
	table, err := BuildTable([]*Route{NewRoute(Binding{
		Key:     routekey.Key{Prefix: "/t"},
		Service: "/t",
		Handler: HandlerFunc(
			func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
				_, err := io.Copy(io.Discard, r.Body)
				seen <- r.Trailer.Clone()
				if announce {
					w.Header().Set("Trailer", "X-Good, "+strings.Join(forbidden, ","))
				}
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				for _, name := range append(forbidden, "X-Good") {
					if announce {
						w.Header().Set(name, "v")
					} else {
						w.Header().Set(http.TrailerPrefix+name, "v")
					}
				}
				return err
			}),
	})})
	require.NoError(t, err)
	rt.Publish(table)
	s := httptest.NewUnstartedServer(rt)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func TestTrailersThatMayNotBe(t *testing.T) {
	for _, announce := range []bool{false, true} {
		seen := make(chan http.Header, 1)
		s := newTrailerServer(t, seen, announce)
		// HTTP/1.1 is written by hand, because clients refuse to send such trailers.
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		require.NoError(t, err)
		request := "POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Good, Host\r\n\r\n1\r\nx\r\n0\r\nX-Good: v\r\n"
		for _, name := range forbidden {
			request += name + ": forged\r\n"
		}
		_, err = io.WriteString(conn, request+"\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.Header{"X-Good": {"v"}}, <-seen)
		require.Equal(t, http.Header{"X-Good": {"v"}}, resp.Trailer)
		require.NoError(t, conn.Close())

		// HTTP/2 without TLS. The HTTP server itself refuses some of them.
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetUnencryptedHTTP2(true)
		r, err := http.NewRequest("POST", s.URL+"/t", io.NopCloser(strings.NewReader("x")))
		require.NoError(t, err)
		r.Trailer = http.Header{"X-Good": {"v"}, "X-Forwarded-For": {"forged"}, "X-Request-Id": {"forged"}, "Vespo-Caller": {"forged"}}
		resp, err = transport.RoundTrip(r)
		require.NoError(t, err)
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.Header{"X-Good": {"v"}}, <-seen)
		require.Equal(t, http.Header{"X-Good": {"v"}}, resp.Trailer)
		require.NoError(t, resp.Body.Close())
		transport.CloseIdleConnections()
	}
}
