package proxy_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestAnswerBeforeTheBody has an upstream that refuses a body after reading the header, and
// closes the connection with body data unread. The client must receive the response every time.
func TestAnswerBeforeTheBody(t *testing.T) {
	f := newFront(t, proxy.Config{})
	f.to("/", serveRaw(t, func(conn net.Conn, from *bufio.Reader) {
		readHeader(from)
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
	}))
	body := bytes.Repeat([]byte("x"), 4<<20)
	for range 20 {
		r := f.Request("POST", "/", bytes.NewReader(body))
		answer := f.Do(r)
		require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
		require.Equal(t, "no\n", answer.Body)
	}
}

// TestNoAnswerToTheBody has an upstream that closes without a response. The client must receive an error.
func TestNoAnswerToTheBody(t *testing.T) {
	f := newFront(t, proxy.Config{})
	f.to("/", serveRaw(t, func(_ net.Conn, from *bufio.Reader) { readHeader(from) }))
	r := f.Request("POST", "/", bytes.NewReader(make([]byte, 4<<20)))
	require.Equal(t, http.StatusBadGateway, f.Do(r).StatusCode)
}

// TestSlowUploadThatGoesOn sends a body for several times as long as the timeout for the response.
func TestSlowUploadThatGoesOn(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	const timeout = 2 * time.Second
	f.bind("/", proxy.Document{Upstreams: []string{up.URL}}, servicetest.WithTimeout(timeout))
	from, to := io.Pipe()
	go func() {
		for range 8 {
			_, _ = to.Write(make([]byte, 16<<10))
			time.Sleep(timeout / 4) // the body must take longer than the timeout
		}
		_ = to.Close()
	}()
	answer := f.Do(f.Request("POST", "/", from))
	require.Equal(t, http.StatusOK, answer.StatusCode, answer.Body)
	require.Equal(t, fmt.Sprint(8*16<<10), answer.Body)
}

// TestUpgradeOverHTTPS switches protocols at an upstream that prefers HTTP/2.
func TestUpgradeOverHTTPS(t *testing.T) {
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			fmt.Fprint(w, r.Proto)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		_, _ = io.Copy(conn, buffered)
	}))
	up.EnableHTTP2 = true
	up.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	up.StartTLS()
	defer up.Close()
	trust := x509.NewCertPool()
	trust.AddCert(up.Certificate())
	f := newFront(t, proxy.Config{TLS: &tls.Config{RootCAs: trust}})
	f.to("/", up.URL)
	require.Equal(t, "HTTP/2.0", f.Get("/").Body)
	for _, protocol := range []string{"custom", "websocket"} {
		conn, from := f.Dial()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
		require.Equal(t, "HTTP/1.1 101 Switching Protocols", strings.TrimSpace(readHeader(from)))
		_, err := io.WriteString(conn, "ping")
		require.NoError(t, err)
		echoed := make([]byte, 4)
		_, err = io.ReadFull(from, echoed)
		require.NoError(t, err)
		require.Equal(t, "ping", string(echoed))
		require.NoError(t, conn.Close())
	}
	require.Equal(t, "HTTP/2.0", f.Get("/").Body)
}
