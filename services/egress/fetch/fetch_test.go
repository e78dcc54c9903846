package fetch_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/egress"
	"github.com/vespo-dev/vespo/services/egress/fetch"
)

var module = []byte("\x00asm\x01\x00\x00\x00")

// local permits a Fetcher to reach 127.0.0.1 and no other local address.
func local() egress.Policy {
	return egress.Policy{Granted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
}

func get(t *testing.T, cfg fetch.Config, source string) ([]byte, error) {
	t.Helper()
	s, err := fetch.ParseSource(source)
	require.NoError(t, err)
	return fetch.New(cfg).Fetch(t.Context(), s)
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func requireReason(t *testing.T, err, reason error, words string) {
	t.Helper()
	require.ErrorIs(t, err, reason)
	var fe *fetch.Error
	require.ErrorAs(t, err, &fe)
	require.Contains(t, fe.Error(), words)
}

func TestFetch(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		require.Equal(t, "identity", r.Header.Get("Accept-Encoding"))
		require.Equal(t, "vespo", r.Header.Get("User-Agent"))
		w.Write(module)
	})
	got, err := get(t, fetch.Config{Policy: local()}, url+"/a.wasm")
	require.NoError(t, err)
	require.Equal(t, module, got)
}

func TestFetchSendsCredentialsOnlyToTheirHost(t *testing.T) {
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		require.Empty(t, r.Header.Get("Authorization"))
		require.Empty(t, r.Header.Get("Referer"))
		w.Write(module)
	})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		require.True(t, ok)
		require.Equal(t, "u:hidden", user+":"+password)
		http.Redirect(w, r, target, http.StatusFound)
	})
	_, err := get(t, fetch.Config{Policy: local()}, strings.Replace(url, "http://", "http://u:hidden@", 1)+"?sig=hidden")
	require.NoError(t, err)
}

func TestParseSource(t *testing.T) {
	valid := []string{"http://example.com", "https://example.com:8443/a.wasm?x=1#f", "http://[2001:db8::1]/x", "https://u:p@example.com/"}
	for _, s := range valid {
		_, err := fetch.ParseSource(s)
		require.NoError(t, err, s)
	}
	invalid := map[string]string{
		"":                           "empty",
		"ftp://example.com/hidden":   `scheme "ftp"`,
		"file:///etc/passwd":         `scheme "file"`,
		"example.com/a.wasm":         "scheme",
		"http:example.com":           "no host",
		"http://":                    "no host",
		"http://:80/":                "no host",
		"http://example.com:0/":      "port",
		"http://example.com:65536/":  "port",
		"http://u:hidden@exa mple/":  "not a well-formed URL",
		"http://u:hidden@host:x/":    "not a well-formed URL",
		"http://example.com/\x00":    "not a well-formed URL",
		"http://e/?" + long(t, 4096): "at most 4096",
	}
	for s, words := range invalid {
		_, err := fetch.ParseSource(s)
		requireReason(t, err, fetch.ErrInvalidSource, words)
		require.NotContains(t, err.Error(), "hidden")
	}
}

func long(t *testing.T, n int) string {
	t.Helper()
	return strings.Repeat("x", n)
}

func TestSourceHidesCredentials(t *testing.T) {
	s, err := fetch.ParseSource("https://user:hidden@example.com/a%2Fb.wasm?sig=hidden#hidden")
	require.NoError(t, err)
	require.Equal(t, "https://example.com/a%2Fb.wasm", s.String())
	require.Empty(t, fetch.Source{}.String())
	_, err = fetch.New(fetch.Config{}).Fetch(t.Context(), fetch.Source{})
	require.ErrorIs(t, err, fetch.ErrInvalidSource)
}

func TestFetchRefusesAddresses(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the request must not arrive") })
	port := url[strings.LastIndex(url, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"} {
		_, err := get(t, fetch.Config{}, "http://u:hidden@"+host+port+"/?hidden")
		requireReason(t, err, fetch.ErrRefused, "only public addresses")
		require.NotContains(t, err.Error(), "hidden")
	}
}

func TestFetchJudgesEachHop(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("only some systems have all of 127.0.0.0/8 on the loopback interface")
	}
	private := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the request must not arrive") }))
	private.Listener.Close()
	private.Listener = listener
	private.Start()
	defer private.Close()

	url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, private.URL, http.StatusFound) })
	_, err = get(t, fetch.Config{Policy: local()}, url)
	requireReason(t, err, fetch.ErrRefused, "127.0.0.2")
}

func TestFetchRedirects(t *testing.T) {
	var url string
	url = serve(t, func(w http.ResponseWriter, r *http.Request) {
		var left int
		switch _, err := fmt.Sscanf(r.URL.Path, "/hops/%d", &left); {
		case r.URL.Path == "/file":
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		case r.URL.Path == "/nowhere":
			w.WriteHeader(http.StatusFound)
		case err == nil && left > 0:
			http.Redirect(w, r, fmt.Sprintf("%s/hops/%d", url, left-1), http.StatusTemporaryRedirect)
		default:
			w.Write(module)
		}
	})
	cfg := fetch.Config{Policy: local(), MaxRedirects: 3}
	got, err := get(t, cfg, url+"/hops/3")
	require.NoError(t, err)
	require.Equal(t, module, got)

	_, err = get(t, cfg, url+"/hops/4")
	requireReason(t, err, fetch.ErrUnavailable, "redirects more than 3 times")
	_, err = get(t, fetch.Config{Policy: local(), MaxRedirects: -1}, url+"/hops/1")
	requireReason(t, err, fetch.ErrUnavailable, "redirects more than 0 times")
	_, err = get(t, cfg, url+"/file")
	requireReason(t, err, fetch.ErrInvalidSource, "redirects to an address that is not fetched")
	_, err = get(t, cfg, url+"/nowhere")
	requireReason(t, err, fetch.ErrUnavailable, "answered 302")
}

func TestFetchTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(module) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the failed handshake is logged
	server.StartTLS()
	defer server.Close()
	_, err := get(t, fetch.Config{Policy: local()}, server.URL)
	requireReason(t, err, fetch.ErrUnavailable, "certificate that is not trusted")

	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, err = get(t, fetch.Config{Policy: local()}, strings.Replace(plain, "http://", "https://", 1))
	requireReason(t, err, fetch.ErrUnavailable, "source https://127.0.0.1")
}

func TestFetchAnswers(t *testing.T) {
	const limit = 1000
	tests := []struct {
		name    string
		handler http.HandlerFunc
		reason  error
		words   string
	}{
		{"not found", http.NotFound, fetch.ErrUnavailable, "answered 404 Not Found"},
		{"server error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, fetch.ErrUnavailable, "answered 500"},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, fetch.ErrUnavailable, "answered 204"},
		{"partial content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206) }, fetch.ErrUnavailable, "answered 206"},
		{"empty", func(http.ResponseWriter, *http.Request) {}, fetch.ErrUnavailable, "empty body"},
		{"declared too large", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1001")
			w.Write(make([]byte, limit+1))
		}, fetch.ErrTooLarge, "1000 bytes"},
		{"too large without saying so", func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			w.Write(make([]byte, limit+1))
		}, fetch.ErrTooLarge, "1000 bytes"},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, fetch.ErrTooLarge, "1000 bytes"},
		{"encoded", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(module)
		}, fetch.ErrUnavailable, `encoding "gzip"`},
		{"ends in the middle of a chunk", func(w http.ResponseWriter, _ *http.Request) {
			w.Write(module)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, fetch.ErrUnavailable, "before the answer was complete"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := get(t, fetch.Config{Policy: local(), MaxBytes: limit}, serve(t, tt.handler))
			requireReason(t, err, tt.reason, tt.words)
		})
	}
	t.Run("just fits", func(t *testing.T) {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, limit)) })
		got, err := get(t, fetch.Config{Policy: local(), MaxBytes: limit}, url)
		require.NoError(t, err)
		require.Len(t, got, limit)
	})
}

// raw serves one fixed response to any request and closes the connection.
func raw(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				io.WriteString(conn, answer)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return "http://" + listener.Addr().String()
}

func TestFetchLyingSources(t *testing.T) {
	tests := []struct {
		name, answer string
		reason       error
		words        string
	}{
		{"shorter than announced", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nabc", fetch.ErrUnavailable, "announced 500 bytes and closed the connection after 3"},
		{"not HTTP", "SSH-2.0-OpenSSH_9.6\r\n", fetch.ErrUnavailable, "source http://127.0.0.1"},
		{"malformed header", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", fetch.ErrUnavailable, "answered something that is not HTTP"},
		{"no answer", "", fetch.ErrUnavailable, "closed the connection"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", fetch.ErrUnavailable, "source http://127.0.0.1"},
		{"endless header", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", fetch.ErrUnavailable, "source http://127.0.0.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := get(t, fetch.Config{Policy: local()}, raw(t, tt.answer))
			requireReason(t, err, tt.reason, tt.words)
		})
	}
	t.Run("longer than announced is cut there", func(t *testing.T) {
		got, err := get(t, fetch.Config{Policy: local()}, raw(t, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"))
		require.NoError(t, err)
		require.Equal(t, "abc", string(got))
	})
}

func TestFetchUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, err = get(t, fetch.Config{Policy: local()}, "http://"+addr)
	requireReason(t, err, fetch.ErrUnavailable, "refused the connection")
}

func TestFetchEndsWithSourcesThatNeverDo(t *testing.T) {
	stalls := map[string]http.HandlerFunc{
		"before the head": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"in the body": func(w http.ResponseWriter, r *http.Request) {
			w.Write(module)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	}
	for name, stall := range stalls {
		t.Run(name, func(t *testing.T) {
			url := serve(t, stall)
			_, err := get(t, fetch.Config{Policy: local(), Timeout: 50 * time.Millisecond}, url)
			requireReason(t, err, fetch.ErrTimeout, "within 50ms")
		})
		t.Run(name+", caller gone", func(t *testing.T) {
			source, err := fetch.ParseSource(serve(t, stall))
			require.NoError(t, err)
			gone := errors.New("gone")
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(gone)
			_, err = fetch.New(fetch.Config{Policy: local()}).Fetch(ctx, source)
			require.ErrorIs(t, err, gone)
		})
	}
}

func TestFetchIgnoresProxyEnvironment(t *testing.T) {
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy must not be asked") })
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("http_proxy", proxy)
	t.Setenv("ALL_PROXY", proxy)
	_, err := get(t, fetch.Config{Timeout: time.Second}, "http://10.255.255.1/a.wasm")
	require.ErrorIs(t, err, fetch.ErrRefused)
}

// The text of errors never contains credentials.
func FuzzParseSource(f *testing.F) {
	f.Add("http://user:hidden@example.com/a.wasm?hidden#hidden")
	f.Add("https://[::1]:443/")
	f.Add("http://a b/")
	f.Fuzz(func(t *testing.T, s string) {
		source, err := fetch.ParseSource(s)
		if err != nil {
			require.ErrorIs(t, err, fetch.ErrInvalidSource)
			return
		}
		shown := source.String()
		require.True(t, strings.HasPrefix(shown, "http://") || strings.HasPrefix(shown, "https://"))
		require.False(t, bytes.ContainsAny([]byte(shown), "?#\r\n"), shown)
	})
}

func TestStats(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/a.wasm" {
			http.NotFound(w, r)
			return
		}
		close(asked)
		<-answer
		w.Write(module)
	})
	f := fetch.New(fetch.Config{Policy: local()})
	source, err := fetch.ParseSource(url + "/none.wasm")
	require.NoError(t, err)
	_, err = f.Fetch(t.Context(), source)
	require.ErrorIs(t, err, fetch.ErrUnavailable)
	source, err = fetch.ParseSource(url + "/a.wasm")
	require.NoError(t, err)
	done := make(chan error)
	go func() {
		_, err := f.Fetch(t.Context(), source)
		done <- err
	}()
	<-asked
	require.Equal(t, fetch.Stats{Active: 1, Failed: 1}, f.Stats())
	close(answer)
	require.NoError(t, <-done)
	require.Equal(t, fetch.Stats{Fetched: 1, Failed: 1, Bytes: int64(len(module))}, f.Stats())
}
