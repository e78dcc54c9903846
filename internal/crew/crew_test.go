package crew

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// served is a server of HTTP/2 whose handler is on a crew.
type served struct {
	*http.Client
	url  string
	crew *Crew
	log  lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func serve(t *testing.T, h http.HandlerFunc) *served {
	t.Helper()
	s := &served{crew: New(h)}
	server := httptest.NewUnstartedServer(s.crew)
	server.Config.ErrorLog = log.New(&s.log, "", 0)
	server.Config.Protocols = protocols()
	server.Start()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	s.Client, s.url = &http.Client{Transport: transport, Timeout: time.Minute}, server.URL
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		s.crew.Close()
		require.Eventually(t, func() bool { return workers() == 0 }, time.Minute, time.Millisecond, "all goroutines end")
	})
	return s
}

func protocols() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}

// workers returns the number of goroutines of workers.
func workers() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "(*worker).run(")
}

func (s *served) get(t *testing.T, path string) string {
	t.Helper()
	answer, err := s.Get(s.url + path)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, 2, answer.ProtoMajor)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return string(text)
}

// caller returns the header of the stack of the calling goroutine, such as "goroutine 7".
func caller() string {
	text := make([]byte, 64)
	number, _, _ := strings.Cut(string(text[:runtime.Stack(text, false)]), " [")
	return number
}

func TestStreamsShareAGoroutine(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // one shelf
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, caller()) })
	seen := make(map[string]int)
	for range 100 {
		seen[s.get(t, "/")]++
	}
	require.Less(t, len(seen), 20, "a goroutine serves many streams; net/http would use one for each")
}

// TestAllocations checks that a stream on a kept goroutine allocates nothing.
func TestAllocations(t *testing.T) {
	c := New(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer c.Close()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	r.ProtoMajor = 2
	require.Zero(t, testing.AllocsPerRun(1000, func() { c.ServeHTTP(w, r) }))
}

func TestHTTP1StaysOnItsGoroutine(t *testing.T) {
	c := New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, caller()) }))
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, caller(), w.Body.String())
}

func TestAbnormalEnds(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/panic":
			panic("on purpose")
		case "/exit":
			runtime.Goexit()
		}
	})
	for _, path := range []string{"/abort", "/exit", "/panic"} {
		_, err := s.Get(s.url + path)
		require.ErrorContains(t, err, "INTERNAL_ERROR", path)
		require.Empty(t, s.get(t, "/"), "others are served")
	}
	logged := func() bool { return strings.Contains(s.log.String(), "on purpose") }
	require.Eventually(t, logged, time.Minute, time.Millisecond, "net/http resets the stream first")
	text := s.log.String()
	require.Equal(t, 1, strings.Count(text, "on purpose"), "the others are not logged")
	require.Contains(t, text, "crew_test.go", "the place of the panic")
}

// TestManyStreams checks that every stream gets its own answer, also while others leave.
func TestManyStreams(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
			return
		}
		runtime.Gosched()
		_, _ = io.Copy(w, r.Body)
	})
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for n := range 100 {
				sent := fmt.Sprint(i, n)
				answer, err := s.Post(s.url, "", strings.NewReader(sent))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if err != nil || string(got) != sent {
					t.Errorf("got %q, %v instead of %q", got, err, sent)
				}
				if n%10 == 0 {
					s.leave(t)
				}
			}
		})
	}
	clients.Wait()
	kept := func() bool { return workers() <= 4*runtime.GOMAXPROCS(0) }
	require.Eventually(t, kept, time.Minute, time.Millisecond, "no more than the shelves hold")
}

// leave makes a request that the client gives up.
func (s *served) leave(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/wait", nil)
	if err != nil {
		t.Error(err)
		return
	}
	if answer, err := s.Do(r); err == nil {
		_ = answer.Body.Close()
	}
}

func TestCloseDuringAStream(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-end
	})
	failed := make(chan error)
	go func() {
		answer, err := s.Get(s.url)
		if err == nil {
			err = answer.Body.Close()
		}
		failed <- err
	}()
	<-begun
	s.crew.Close()
	close(end)
	require.NoError(t, <-failed)
	require.Eventually(t, func() bool { return workers() == 0 }, time.Minute, time.Millisecond)
}
