package load

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func dialHTTP2(t *testing.T, h http.HandlerFunc, connections int) *Client {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	c, err := DialHTTP2(s.Listener.Addr().String(), "/some/path", connections)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestHTTP2(t *testing.T) {
	var served, wrong atomic.Int64
	c := dialHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Method != "GET" || r.URL.Path != "/some/path" || r.UserAgent() != "bench" || r.Header.Get("Accept") != "*/*" || r.Host != r.Context().Value(http.LocalAddrContextKey).(net.Addr).String() {
			wrong.Add(1)
		}
		io.WriteString(w, strings.Repeat("x", int(served.Add(1))*999%100_000))
	}, 3)
	status, body, err := c.Get()
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Len(t, body, 999)
	for _, n := range []int{1, 3, 1001} {
		served.Store(0)
		r, err := c.Run(Bound{Requests: n})
		require.NoError(t, err)
		require.Equal(t, n, r.Requests)
		require.EqualValues(t, n, served.Load())
	}
	require.Zero(t, wrong.Load())
}

func TestHTTP2Failures(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"status is not 200": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"server ends it":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		_, err := dialHTTP2(t, h, 2).Run(Bound{Requests: 10})
		require.ErrorContains(t, err, name)
	}
}

func TestSkipSizes(t *testing.T) {
	for in, want := range map[string]string{"": "", "\x88a": "\x88a", "\x20\x88": "\x88", "\x3f\xe1\x1f\x88": "\x88", "\x3f\x01\x21\x88b": "\x88b", "\x3f": ""} {
		require.Equal(t, want, string(skipSizes([]byte(in))), "%x", in)
	}
}
