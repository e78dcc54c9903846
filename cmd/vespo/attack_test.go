package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
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
