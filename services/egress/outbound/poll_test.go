package outbound

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/runtime/abi"
)

// waiting reports whether the channel is open.
func waiting(c <-chan struct{}) bool {
	select {
	case <-c:
		return false
	default:
		return true
	}
}

// stages are the moments at which a server continues.
type stages struct{ read, answer, body chan struct{} }

func newStages() stages {
	return stages{make(chan struct{}), make(chan struct{}), make(chan struct{})}
}

// serve reads the body, answers with its length, and sends a body, each on command.
func (s stages) serve(w http.ResponseWriter, r *http.Request) {
	<-s.read
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	<-s.answer
	w.WriteHeader(200 + len(body))
	_ = http.NewResponseController(w).Flush()
	<-s.body
	_, _ = io.WriteString(w, "body")
}

// TestPolledCalls follows a call that never waits, to another server and to a service of this one.
func TestPolledCalls(t *testing.T) {
	for _, inside := range []bool{false, true} {
		s := newStages()
		up := httptest.NewServer(http.HandlerFunc(s.serve))
		defer up.Close()
		uri, dispatcher := up.URL, Dispatcher(nil)
		if inside {
			uri = "http://b.vespo.internal"
			dispatcher = serviceFunc(func(_ routekey.Prefix, w http.ResponseWriter, r *http.Request) error {
				s.serve(w, r)
				return nil
			})
		}
		call, err := newClient(t, Limits{}, dispatcher, uri).exchange().Open(t.Context(), "POST", uri+"/")
		require.NoError(t, err)

		<-call.Writable()
		answered := call.Answered()
		require.NoError(t, call.Write([]byte("12")), "a piece is taken before the server reads")
		require.NoError(t, call.End())
		require.NoError(t, call.End())
		require.True(t, waiting(answered))
		close(s.read)
		<-call.Writable()
		require.True(t, waiting(answered))
		close(s.answer)
		<-answered
		status, err := call.Send()
		require.NoError(t, err)
		require.Equal(t, 202, status)

		ready := call.Ready()
		require.True(t, waiting(ready))
		close(s.body)
		<-ready
		body, err := io.ReadAll(call)
		require.NoError(t, err)
		require.Equal(t, "body", string(body))
		<-call.Ready() // the end
		require.NoError(t, call.Close())
	}
}

func TestPolledCallsWithoutABody(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.Header.Get("Transfer-Encoding"))
	}))
	defer up.Close()
	x := newClient(t, Limits{}, nil, up.URL).exchange()
	call, err := x.Open(t.Context(), "GET", up.URL)
	require.NoError(t, err)
	defer call.Close()
	require.NoError(t, call.End())
	<-call.Answered()
	<-call.Writable() // nothing to wait for
	require.Error(t, call.Write([]byte("x")))
	status, err := call.Send()
	require.NoError(t, err)
	require.Equal(t, 200, status)
	body, err := io.ReadAll(call)
	require.NoError(t, err)
	require.Equal(t, "GET ", string(body))

	plain, err := x.Open(t.Context(), "GET", up.URL)
	require.NoError(t, err)
	defer plain.Close()
	_, err = plain.Send()
	require.NoError(t, err)
	<-plain.Answered() // it was waited for
}

func TestPolledFailures(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	x := newClient(t, Limits{BodyBytes: 4}, nil, closed.URL).exchange()
	call, err := x.Open(t.Context(), "POST", closed.URL)
	require.NoError(t, err)
	<-call.Writable()
	require.NoError(t, call.Write([]byte("12")))
	<-call.Answered()
	<-call.Writable()
	require.Error(t, call.Write([]byte("34")), "of the piece before")
	requireCode(t, abi.OutboundTooLarge, call.Write([]byte("5")))
	_, err = call.Send()
	requireCode(t, abi.OutboundUnreachable, err)
	require.NoError(t, call.Close())

	short, err := x.Open(t.Context(), "POST", closed.URL)
	require.NoError(t, err)
	require.NoError(t, short.AddHeader("Content-Length", "3"))
	requireCode(t, abi.OutboundBroken, short.End())
	_, err = short.Send()
	requireCode(t, abi.OutboundBadState, err)
	require.NoError(t, short.Close())
}

// TestAbandonedPollsEnd closes calls that wait in each of their stages.
func TestAbandonedPollsEnd(t *testing.T) {
	for name, poll := range map[string]func(s stages, call abi.OutboundCall){
		"answer": func(_ stages, call abi.OutboundCall) { require.True(t, waiting(call.Answered())) },
		"write": func(_ stages, call abi.OutboundCall) {
			call.Writable()
			for !waiting(call.Writable()) {
				require.NoError(t, call.Write(make([]byte, 1<<20)))
			}
			require.NoError(t, call.End())
		},
		"read": func(s stages, call abi.OutboundCall) {
			close(s.read)
			close(s.answer)
			_, err := call.Send()
			require.NoError(t, err)
			require.True(t, waiting(call.Ready()))
		},
	} {
		for _, inside := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				s := newStages()
				up := httptest.NewServer(http.HandlerFunc(s.serve))
				uri, dispatcher, served := up.URL, Dispatcher(nil), make(chan struct{})
				if inside {
					uri = "http://b.vespo.internal"
					dispatcher = serviceFunc(func(_ routekey.Prefix, w http.ResponseWriter, r *http.Request) error {
						defer close(served)
						context.AfterFunc(r.Context(), func() { close(s.body) })
						s.serve(w, r)
						return nil
					})
				}
				call, err := newClient(t, Limits{}, dispatcher, uri).exchange().Open(t.Context(), "POST", uri+"/")
				require.NoError(t, err)
				poll(s, call)
				if inside && name != "read" {
					close(s.read)
					close(s.answer)
				}
				require.NoError(t, call.Close())
				if inside {
					<-served
				} else {
					for _, c := range []chan struct{}{s.read, s.answer, s.body} {
						if waiting(c) {
							close(c)
						}
					}
				}
				up.Close()
			})
		}
	}
}

func TestAPolledBodyEndsAfterItsPieces(t *testing.T) {
	from, to := io.Pipe()
	w := writeBehind{}
	<-w.ready()
	require.NoError(t, w.write(to, []byte("one ")))
	require.True(t, waiting(w.ready()))
	require.NoError(t, w.end(to, nil))
	body, err := io.ReadAll(from)
	require.NoError(t, err)
	require.Equal(t, "one ", string(body))
	w.goroutines.Wait()
	<-w.ready()
	require.NoError(t, w.settle())

	from, to = io.Pipe()
	require.NoError(t, from.CloseWithError(io.ErrNoProgress))
	require.NoError(t, w.write(to, []byte("one")))
	<-w.ready()
	require.ErrorIs(t, w.end(to, nil), io.ErrNoProgress)
	require.NoError(t, w.settle(), "it is reported once")
}

// TestDeadlineEndsPolling checks that a poll is bounded like everything else of a call.
func TestDeadlineEndsPolling(t *testing.T) {
	s := newStages()
	up := httptest.NewServer(http.HandlerFunc(s.serve))
	defer up.Close()
	defer close(s.body)
	defer close(s.answer)
	defer close(s.read)
	x := newClient(t, Limits{}, nil, up.URL).ForExchange(time.Now().Add(50*time.Millisecond), Origin{})
	call, err := x.Open(t.Context(), "POST", up.URL)
	require.NoError(t, err)
	defer call.Close()
	<-call.Answered()
	_, err = call.Send()
	requireCode(t, abi.OutboundDeadline, err)
}
