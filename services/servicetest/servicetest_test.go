package servicetest

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func say(key, text string) services.Spec { return Module(TextKind, key, []byte(text)) }

func TestServer(t *testing.T) {
	s := New(t, Config{}).Start(Text{})
	first := s.Deploy(say("/a", "one"))
	require.True(t, first.Created)
	a := s.Get("/a/x", "X-Request-Id: 1", "Host: example.com")
	require.Equal(t, "one", a.Body)
	require.Equal(t, "HTTP/1.1", a.Proto)
	rec := s.Records.Nth(1)
	require.Equal(t, "/a", rec.Prefix)
	require.Equal(t, a.Header.Get("X-Request-Id"), rec.RequestID)
	require.Equal(t, text("one"), s.Deployment("/a"))

	s.Replace(say("/a", "two"))
	resp, err := s.HTTP2().RoundTrip(s.Request("POST", "/a", strings.NewReader("body")))
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "HTTP/2.0 two", resp.Proto+" "+string(body))
	require.Equal(t, "two", s.Await(s.Begin("GET", "/a", "")).Body)
	require.Equal(t, http.MethodPost, s.Records.First(func(r accesslog.Record) bool { return r.Generation > rec.Generation }).Method)
	s.AwaitStatus("/a", func(now services.Status) bool { return now.State == services.StateReady })

	d := s.Deployment("/a")
	s.Withdraw("/a")
	s.Get("/a").RequireProblem(t, problem.NotFound)
	require.NoError(t, Call(d, "GET", "/"))
	require.Contains(t, s.Log.String(), "version retired")
	conn, from := s.Dial()
	_, err = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	status, err := from.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.0 404 Not Found\r\n", status)
}

// TestSecondServer serves the catalogue of a server that is closed.
func TestSecondServer(t *testing.T) {
	dir := t.TempDir()
	first := New(t, Config{Dir: dir}).Start(Text{})
	first.Deploy(say("/a", "kept"))
	first.Close()
	_, err := net.Dial("tcp", first.Addr)
	require.Error(t, err)
	require.Equal(t, "kept", New(t, Config{Dir: dir}).Start(Text{}).Get("/a").Body)
}

func TestSpecsAreComplete(t *testing.T) {
	s := say("/a", "x")
	require.Equal(t, registry.DigestOf([]byte("x")), s.Blobs[0].Digest)
	require.Equal(t, routekey.MustParse("/a"), s.Key)
}

func TestWaitsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		changed, ready := sync.NewCond(&mu), false
		mu.Lock()
		defer mu.Unlock()
		start := time.Now()
		require.False(t, awaitLocked(changed, func() bool { return ready }))
		require.Equal(t, HangTimeout, time.Since(start))
		go func() {
			mu.Lock()
			defer mu.Unlock()
			ready = true
			changed.Broadcast()
		}()
		require.True(t, awaitLocked(changed, func() bool { return ready }))
	})
}

// TestHandlers serves functions of a test.
func TestHandlers(t *testing.T) {
	s := New(t, Config{}).Start(Handlers{"rest": func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		_, err := io.WriteString(w, r.Rest)
		return err
	}})
	s.Deploy(Handler("/a", "rest"))
	require.Equal(t, "/b", s.Get("/a/b").Body)
	_, err := s.Add(t.Context(), Handler("/a", "none"))
	require.ErrorContains(t, err, "no handler")
}

func TestLeftovers(t *testing.T) {
	before, stop := descriptors(), make(chan struct{})
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	ended := make(chan struct{})
	go leak(stop, ended)
	stop <- struct{}{} // it runs
	require.Contains(t, strings.Join(goroutines(), "\n"), "servicetest.leak")
	if before != nil {
		require.Equal(t, []string{"descriptor: " + os.DevNull + " (1)"}, newer(before, descriptors()))
	}
	close(stop)
	<-ended
	require.NoError(t, file.Close())
	require.Empty(t, newer(before, descriptors()))
}

// leak is a goroutine that a test leaves behind until stop is closed.
func leak(stop, ended chan struct{}) {
	defer close(ended)
	for range stop {
	}
}
