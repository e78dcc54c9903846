package frames

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// listener wraps its connections as package lane does, and records their writes.
type listener struct {
	net.Listener
	gatherer *Gatherer
	mu       sync.Mutex
	writes   [][]byte // guarded by mu
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.gatherer.Wrap(recorded{c, l}), nil
}

// take returns the writes since the last call.
func (l *listener) take() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	writes := l.writes
	l.writes = nil
	return writes
}

type recorded struct {
	net.Conn
	l *listener
}

// Write implements net.Conn.
func (r recorded) Write(p []byte) (int, error) {
	r.l.mu.Lock()
	r.l.writes = append(r.l.writes, bytes.Clone(p))
	r.l.mu.Unlock()
	return r.Conn.Write(p)
}

// start serves a handler by HTTP/2 until the end of the test. It returns its listener and a client.
func start(t *testing.T, wait time.Duration, h http.HandlerFunc) (*listener, *http.Client) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &listener{Listener: tcp, gatherer: New()}
	l.gatherer.patience = wait
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: Handler(h), ConnContext: ConnContext(nil), Protocols: &only}
	go func() { _ = server.Serve(l) }() // ends with Close
	transport := &http.Transport{Protocols: &only}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
	})
	return l, &http.Client{Transport: transport, Timeout: time.Minute}
}

func (l *listener) url() string { return "http://" + l.Addr().String() }

// TestOneWrite checks that a small response is one write.
func TestOneWrite(t *testing.T) {
	l, client := start(t, time.Hour, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
			return
		}
		_, _ = io.WriteString(w, "hello")
	})
	get := func(path string, size int) {
		answer, err := client.Get(l.url() + path)
		require.NoError(t, err)
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Len(t, text, size)
	}
	get("/", 5) // settings and their acknowledgements come with the first request
	get("/", 5)
	for range 20 {
		l.take()
		get("/", 5)
		require.Len(t, l.take(), 1)
		get("/long", 100_000)
	}
}

// TestNothingElseWaits checks that what a handler sends before it returns does not wait.
func TestNothingElseWaits(t *testing.T) {
	proceed := make(chan struct{})
	l, client := start(t, time.Hour, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/flush":
			_ = http.NewResponseController(w).Flush()
			<-proceed
		case "/hint":
			w.WriteHeader(http.StatusEarlyHints)
			<-proceed
		case "/continue":
			_, _ = io.Copy(w, r.Body)
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		}
	})
	ask := func(method, path string, body io.Reader) string {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(status int, _ textproto.MIMEHeader) error {
			if status == http.StatusEarlyHints {
				proceed <- struct{}{}
			}
			return nil
		}})
		r, err := http.NewRequestWithContext(ctx, method, l.url()+path, body)
		require.NoError(t, err)
		if path == "/continue" {
			r.Header.Set("Expect", "100-continue")
		}
		answer, err := client.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		if path == "/flush" {
			proceed <- struct{}{}
		}
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return string(text)
	}
	for range 20 {
		require.Empty(t, ask(http.MethodGet, "/flush", nil))
		require.Empty(t, ask(http.MethodGet, "/hint", nil))
		require.Equal(t, "sent", ask(http.MethodPost, "/continue", strings.NewReader("sent")))
		require.Empty(t, ask(http.MethodGet, "/empty", nil))
		require.Empty(t, ask(http.MethodHead, "/", nil))
	}
}

// TestManyStreams checks answers of many sizes at once, with the real patience.
func TestManyStreams(t *testing.T) {
	l, client := start(t, patience, func(w http.ResponseWriter, r *http.Request) {
		var size int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &size)
		_, _ = io.WriteString(w, strings.Repeat("x", size))
	})
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			for n := range 100 {
				size := (i*100 + n) * (n % 7)
				ctx, cancel := context.WithCancel(context.Background())
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprint(l.url(), "/", size), nil)
				if err != nil {
					t.Error(err)
				}
				if n%10 == 0 {
					go cancel() // its stream may be reset at any time
				}
				answer, err := client.Do(r)
				if err == nil {
					var sent int64
					sent, err = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
					if err == nil && sent != int64(size) {
						t.Errorf("%d bytes of %d", sent, size)
					}
				}
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	clients.Wait()
}

// TestAClosedWindow checks that a client which takes no body gets the header.
func TestAClosedWindow(t *testing.T) {
	l, _ := start(t, patience, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(conn, preface)
	require.NoError(t, err)
	framer := http2.NewFramer(conn, conn)
	require.NoError(t, framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	var head bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "h"}} {
		require.NoError(t, encoder.WriteField(f))
	}
	require.NoError(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndStream: true, EndHeaders: true}))
	next := func(kind http2.FrameType) http2.Frame {
		for {
			f, err := framer.ReadFrame()
			require.NoError(t, err)
			if f.Header().StreamID == 1 {
				require.Equal(t, kind, f.Header().Type)
				return f
			}
		}
	}
	next(http2.FrameHeaders)
	require.NoError(t, framer.WriteWindowUpdate(1, 100))
	require.Equal(t, "hello", string(next(http2.FrameData).(*http2.DataFrame).Data()))
}
