package patience

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// dialed returns a client of a handler, over connections in memory. Handlers of "/alive" answer at once.
func dialed(t *testing.T, silence time.Duration, handle http.HandlerFunc) *http.Client {
	listener := &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: handle}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	base := &http.Transport{DialContext: listener.dial}
	t.Cleanup(func() {
		base.CloseIdleConnections()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return &http.Client{Transport: &Transport{Base: base, Silence: silence, Probe: "/alive"}}
}

// pipes is a listener of connections in memory.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.accepted <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

// hang waits until the client gives up.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func TestSilentServer(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		synctest.Test(t, func(t *testing.T) {
			client := dialed(t, 30*time.Second, hang)
			r, err := http.NewRequestWithContext(t.Context(), method, "http://server/x", strings.NewReader("body"))
			require.NoError(t, err)
			start := time.Now()
			_, err = client.Do(r)
			var silent *SilentError
			require.ErrorAs(t, err, &silent)
			require.EqualError(t, silent, "http://server did not answer in 30s")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, 30*time.Second, time.Since(start))
		})
	}
}

// TestServerAtWork checks that a change may take long while its server is alive, and that a question may not.
func TestServerAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := dialed(t, 30*time.Second, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/alive" {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-time.After(10 * time.Minute):
			case <-r.Context().Done():
			}
		})
		resp, err := client.Post("http://server/x", "text/plain", strings.NewReader("body"))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		var silent *SilentError
		_, err = client.Get("http://server/x")
		require.ErrorAs(t, err, &silent)
	})
}

// TestServerThatWorksForEver checks that life alone does not keep a client waiting for ever.
func TestServerThatWorksForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := dialed(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/alive" {
				hang(w, r)
			}
		})
		start := time.Now()
		_, err := client.Post("http://server/x", "text/plain", strings.NewReader("body"))
		var silent *SilentError
		require.ErrorAs(t, err, &silent)
		require.Equal(t, longest, time.Since(start))
	})
}

// slow is a body whose parts take their time.
type slow struct{ parts int }

func (s *slow) Read(b []byte) (int, error) {
	if s.parts == 0 {
		return 0, io.EOF
	}
	s.parts--
	time.Sleep(time.Minute)
	return copy(b, "part"), nil
}

// TestSlowClient checks that the time which the client takes does not count, before and after the header.
func TestSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := dialed(t, time.Second, func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, strings.Repeat("x", int(n)<<12))
		})
		resp, err := client.Post("http://server/x", "text/plain", &slow{parts: 3})
		require.NoError(t, err)
		defer resp.Body.Close()
		size, b := 0, make([]byte, 16<<10)
		for err = nil; err == nil; {
			var n int
			n, err = resp.Body.Read(b)
			size += n
			time.Sleep(time.Minute)
		}
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 3*len("part")<<12, size)
	})
}

// TestAnswerThatStops checks that an answer may take long while it makes progress, and ends when there is none.
func TestAnswerThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := dialed(t, 30*time.Second, func(w http.ResponseWriter, r *http.Request) {
			for range 10 {
				_, _ = io.WriteString(w, "part")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(29 * time.Second)
			}
			<-r.Context().Done()
		})
		resp, err := client.Get("http://server/x")
		require.NoError(t, err)
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		require.Equal(t, strings.Repeat("part", 10), string(got))
		var silent *SilentError
		require.ErrorAs(t, err, &silent)
		require.EqualError(t, silent, "http://server has begun to answer, and then sent nothing for 30s")
	})
}

// TestPauses checks that a stream may pause longer than the wait for its header.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := dialed(t, time.Second, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			time.Sleep(25 * time.Second)
			_, _ = io.WriteString(w, "part")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		r, err := http.NewRequestWithContext(WithPauses(t.Context(), 30*time.Second), http.MethodGet, "http://server/x", nil)
		require.NoError(t, err)
		resp, err := client.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		require.Equal(t, "part", string(got))
		require.EqualError(t, err, "http://server has begun to answer, and then sent nothing for 30s")
	})
}

// TestOwnEnd checks that the client's own cancellation stays what it is, and that no bound is none.
func TestOwnEnd(t *testing.T) {
	for _, silence := range []time.Duration{0, 3 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			client := dialed(t, silence, hang)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://server/x", nil)
			require.NoError(t, err)
			_, err = client.Do(r)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.False(t, errors.As(err, new(*SilentError)))
		})
	}
}
