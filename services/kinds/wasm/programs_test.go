package wasm_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// programs are what public test programs of wasi:http do, by the words of runtime/abi/testdata/programs: the numbers that a
// component gets. A number above 100 may be an error-code and 100. Bodies that go through a component, sleeps, and what is
// broken off or goes on after the response are in the tests of the two versions.
var programs = []struct {
	word    string
	request string // the method, target and length that the server sees; "" if it sees none
	numbers []string
}{
	{word: "get", request: "GET /programs?a=b 0", numbers: []string{"200", "0", "0"}},
	{word: "post", request: "POST /programs?a=b 8", numbers: []string{"200", "8", sum("the body")}},
	{word: "put", request: "PUT /programs?a=b 0", numbers: []string{"200", "0", "0"}},
	{word: "large", request: "POST /programs?a=b 1048576", numbers: []string{"200", "1048576", sum(pattern(1 << 20))}},
	{word: "exact", request: "POST /programs?a=b 8", numbers: []string{"200", "8", sum("the body")}},
	{word: "short", numbers: []string{"117"}}, // HTTP-request-body-size
	{word: "long", numbers: []string{"117"}},
	{word: "no-path", request: "GET / 0", numbers: []string{"200", "0", "0"}},
	{word: "no-authority", numbers: []string{"119"}}, // HTTP-request-URI-invalid
	{word: "scheme", numbers: []string{"0", "135"}},  // HTTP-protocol-error
	{word: "parts", numbers: []string{"1", "0", "1", "1", "1", "1", "1"}},
	{word: "names", numbers: []string{"0", "0", "1", "1", "1", "1", "1", "2", "2", "2", "2", "2", "2", "2"}},
	{word: "immutable", numbers: []string{"3"}},
	{word: "hidden", numbers: []string{"0"}},
	{word: "status", numbers: []string{"0", "0", "0", "1", "1", "1"}},
}

// sum is the sum of a body, as the programs compute it.
func sum(body string) string {
	var n uint32
	for i := range len(body) {
		n = n*31 + uint32(body[i])
	}
	return fmt.Sprint(n)
}

func pattern(length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(i * 251)
	}
	return string(b)
}

// program returns the component of the programs for a version of WASI.
func program(tb testing.TB, version string) []byte {
	return component(tb, "testdata/programs/"+version)
}

func TestPrograms(t *testing.T) {
	var seen atomic.Value // the request that the server has got
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			seen.Store(fmt.Sprintf("%s %s %d", r.Method, r.RequestURI, len(body)))
		}
		_, _ = w.Write(body)
	}))
	defer upstream.Close()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	closed := nobody.Addr().String()

	for _, version := range versions {
		s := newServer(t, wasm.Config{})
		s.add("/", program(t, version), servicetest.WithAllow(upstream.URL, "http://"+closed))
		ask := func(word, authority string) []string {
			seen.Store("")
			a := s.do("GET", "/"+word, "", "Upstream: "+authority)
			require.Equal(t, 200, a.StatusCode, "%s %s: %s", version, word, a.Body)
			return a.Header.Values("Number")
		}
		authority := strings.TrimPrefix(upstream.URL, "http://")
		for _, p := range programs {
			t.Run(version+" "+p.word, func(t *testing.T) {
				for range 2 {
					require.Equal(t, p.numbers, ask(p.word, authority))
					require.Equal(t, p.request, seen.Load())
				}
			})
		}
		require.Equal(t, []string{"115"}, ask("get", "127.0.0.1:1"), "HTTP-request-denied")
		require.Equal(t, []string{"106"}, ask("get", closed), "connection-refused")
		require.Equal(t, 0, s.InFlight())
	}
}
