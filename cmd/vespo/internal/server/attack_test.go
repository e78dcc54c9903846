package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// silentStream opens an HTTP/2 stream that announces a body and stays open without it until ctx ends.
func silentStream(ctx context.Context, transport *http.Transport, url, header string) error {
	body, _ := io.Pipe() // announced and never sent
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return err
	}
	req.ContentLength = 100
	if header != "" {
		req.Header.Set("Large", header)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// TestStreamsWithoutBodies checks that streams without their announced
// bodies, with small and large headers, do not block other clients.
func TestStreamsWithoutBodies(t *testing.T) {
	for name, header := range map[string]string{"small headers": "", "large headers": strings.Repeat("x", 50<<10)} {
		t.Run(name, func(t *testing.T) {
			r := runDemo(t, "--slots=2", "--queue=4", "--header-memory=4MiB")
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			defer all.Wait()
			defer cancel()
			for range 3 {
				transport := &http.Transport{Protocols: new(http.Protocols)}
				transport.Protocols.SetUnencryptedHTTP2(true)
				defer transport.CloseIdleConnections()
				for range maxStreams {
					all.Go(func() { _ = silentStream(ctx, transport, r.url+"/echo", header) })
				}
			}
			for range 20 {
				require.Equal(t, http.StatusOK, r.status("/hello"))
				require.Equal(t, http.StatusOK, r.status("/services/health"))
			}
		})
	}
}

// TestClientsThatDoNotRead checks that guests which are blocked by
// their clients leave the processors to others, also if they have run for long.
func TestClientsThatDoNotRead(t *testing.T) { onBoth(t, testClientsThatDoNotRead) }

func testClientsThatDoNotRead(t *testing.T, fastLane string) {
	blocked := 2 * runtime.GOMAXPROCS(0)
	r := runDemo(t, fastLane, fmt.Sprintf("--slots=%d", 2*blocked+2), "--timeout=1h", "--retire-after=1h")
	c, err := remote.NewClient(r.url, "")
	require.NoError(t, err)
	require.NoError(t, add(t.Context(), c, "/flood", guests.Wat(t, "flood")))
	for range blocked {
		silent, err := net.Dial("tcp", r.address())
		require.NoError(t, err)
		defer silent.Close()
		require.NoError(t, silent.(*net.TCPConn).SetReadBuffer(4<<10))
		fmt.Fprint(silent, "GET /flood HTTP/1.1\r\nHost: h\r\n\r\n")
	}
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/flood", nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, resp.Body, 4<<20)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
}
