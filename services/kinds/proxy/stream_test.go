package proxy_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestEventsAreNotHeldBack reads each part of a response before the upstream sends the next one.
func TestEventsAreNotHeldBack(t *testing.T) {
	f := newFront(t, proxy.Config{})
	next := make(chan struct{})
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", strings.TrimPrefix(r.URL.Path, "/"))
		if length := r.URL.Query().Get("length"); length != "" {
			w.Header().Set("Content-Length", length)
		}
		for range 3 {
			fmt.Fprint(w, "data: x\n\n")
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			<-next
		}
	})
	f.to("/", up.URL)
	for _, path := range []string{"/text/event-stream", "/application/grpc", "/text/event-stream?length=27"} {
		resp, err := f.RoundTrip(f.Request("GET", path, nil))
		require.NoError(t, err)
		for range 3 {
			part := make([]byte, len("data: x\n\n"))
			_, err = io.ReadFull(resp.Body, part)
			require.NoError(t, err)
			require.Equal(t, "data: x\n\n", string(part))
			next <- struct{}{}
		}
		require.NoError(t, resp.Body.Close())
	}
}

// TestTalk exchanges words in both directions over one request, with each combination of HTTP/1 and HTTP/2.
func TestTalk(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		if rc.EnableFullDuplex() != nil || rc.Flush() != nil {
			return
		}
		w.Header().Set("Trailer", "X-Proto")
		from := bufio.NewReader(r.Body)
		for {
			word, err := from.ReadString('\n')
			if err != nil {
				break
			}
			fmt.Fprint(w, word)
			if rc.Flush() != nil {
				return
			}
		}
		w.Header().Set(http.TrailerPrefix+"X-Proto", r.Proto)
	})
	const timeout = 750 * time.Millisecond
	f.bind("/1", proxy.Document{Upstreams: []string{up.URL}}, servicetest.WithTimeout(timeout))
	f.bind("/2", proxy.Document{Upstreams: []string{strings.Replace(up.URL, "http", "h2c", 1)}}, servicetest.WithTimeout(timeout))
	for prefix, proto := range map[string]string{"/1": "HTTP/1.1", "/2": "HTTP/2.0"} {
		for _, front := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(front+" to "+proto, func(t *testing.T) {
				transport := &http.Transport{Protocols: new(http.Protocols)}
				transport.Protocols.SetHTTP1(front == "HTTP/1.1")
				transport.Protocols.SetUnencryptedHTTP2(front == "HTTP/2.0")
				defer transport.CloseIdleConnections()
				out, in := io.Pipe()
				resp, err := transport.RoundTrip(f.Request("POST", prefix, out))
				require.NoError(t, err)
				defer resp.Body.Close()
				require.Equal(t, front, resp.Proto)
				from := bufio.NewReader(resp.Body)
				for i := range 3 {
					time.Sleep(timeout * 2 / 5) // in total longer than the timeout
					fmt.Fprintln(in, "word", i)
					word, err := from.ReadString('\n')
					require.NoError(t, err)
					require.Equal(t, fmt.Sprintln("word", i), word)
				}
				require.NoError(t, in.Close())
				_, err = io.ReadAll(from)
				require.NoError(t, err)
				require.Equal(t, proto, resp.Trailer.Get("X-Proto"))
			})
		}
	}
}

func TestUpstreamWithTLS(t *testing.T) {
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", r.TLS.ServerName)
	}))
	up.EnableHTTP2 = true
	up.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	up.StartTLS()
	defer up.Close()
	trust := x509.NewCertPool()
	trust.AddCert(up.Certificate())
	f := newFront(t, proxy.Config{TLS: &tls.Config{RootCAs: trust}})
	f.to("/", up.URL)
	require.Equal(t, "HTTP/2.0 ", f.Get("/").Body)

	f = newFront(t, proxy.Config{})
	f.to("/", up.URL)
	f.Get("/").RequireProblem(t, problem.BadGateway) // the certificate is not trusted
	require.Contains(t, f.Records.Nth(1).Err.Error(), "certificate")
}

// TestUpstreamsShareTheLoad holds a request at each of two upstreams. After one of
// them is released, the next request must go there.
func TestUpstreamsShareTheLoad(t *testing.T) {
	f := newFront(t, proxy.Config{})
	type held struct {
		at      int
		release chan struct{}
	}
	requests := make(chan held)
	var urls []string
	for i := range 2 {
		urls = append(urls, serveHTTP(t, func(http.ResponseWriter, *http.Request) {
			h := held{i, make(chan struct{})}
			requests <- h
			<-h.release
		}).URL)
	}
	f.to("/", urls...)
	var clients sync.WaitGroup
	send := func() held {
		clients.Go(func() {
			if resp, err := f.RoundTrip(f.Request("GET", "/", nil)); err == nil {
				_ = resp.Body.Close()
			}
		})
		return <-requests
	}
	first, second := send(), send()
	require.NotEqual(t, first.at, second.at)
	for n := range 4 {
		close(first.release)
		f.Records.Nth(n + 1)
		again := send()
		require.Equal(t, first.at, again.at, "the one with less to do")
		first = again
	}
	close(first.release)
	close(second.release)
	clients.Wait()
}

// TestUpstreamComesBack stops one of two upstreams and restarts it at the same address,
// under load. No request may fail, and in the end both upstreams must be used.
func TestUpstreamComesBack(t *testing.T) {
	f := newFront(t, proxy.Config{})
	steady := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "steady") }).URL
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	serve := func(l net.Listener) *http.Server {
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "shaky") })}
		go func() { _ = s.Serve(l) }()
		return s
	}
	s := serve(l)
	f.to("/", steady, "http://"+address)
	var stop atomic.Bool
	var failed atomic.Int32
	var shaky atomic.Int64
	var clients sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{}}
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				resp, err := client.Get(f.URL)
				if err != nil {
					failed.Add(1)
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				if string(body) == "shaky" {
					shaky.Add(1)
				}
			}
		})
	}
	used := func() {
		before := shaky.Load()
		require.Eventually(t, func() bool { return shaky.Load() > before+10 }, servicetest.HangTimeout, time.Millisecond)
	}
	used()
	require.NoError(t, s.Shutdown(t.Context()))
	f.AwaitStatus("/", func(s services.Status) bool { return strings.Contains(s.Target, "set aside") })
	l, err = net.Listen("tcp", address)
	require.NoError(t, err)
	s = serve(l)
	used()
	stop.Store(true)
	clients.Wait()
	client.CloseIdleConnections()
	require.Zero(t, failed.Load())
	require.NoError(t, s.Close())
}
