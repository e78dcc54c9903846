package outbound

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/runtime/abi"
)

// TestCallersThatDoNotRead checks that a write deadline frees a service from a caller
// that does not read the response.
func TestCallersThatDoNotRead(t *testing.T) {
	result := make(chan error, 1)
	c := newClient(t, Limits{}, serviceFunc(func(_ routekey.Prefix, w http.ResponseWriter, _ *http.Request) error {
		require.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
		_, err := w.Write(make([]byte, 1<<20))
		result <- err
		return nil
	}), "http://b.vespo.internal")
	call, err := c.exchange().Open(context.Background(), "GET", "http://b.vespo.internal/")
	require.NoError(t, err)
	defer call.Close()
	status, err := call.Send()
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Error(t, <-result, "before anybody has read")
	_, err = io.ReadAll(call)
	requireCode(t, abi.OutboundBroken, err)
}

// TestCallersThatDoNotSend checks that a read deadline frees a service from a caller
// that does not send its body.
func TestCallersThatDoNotSend(t *testing.T) {
	result := make(chan error, 1)
	c := newClient(t, Limits{}, serviceFunc(func(_ routekey.Prefix, w http.ResponseWriter, r *http.Request) error {
		rc := http.NewResponseController(w)
		require.NoError(t, errors.Join(rc.EnableFullDuplex(), rc.SetReadDeadline(time.Now().Add(20*time.Millisecond))))
		_, err := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusRequestTimeout)
		result <- err
		return nil
	}), "http://b.vespo.internal")
	call, err := c.exchange().Open(context.Background(), "PUT", "http://b.vespo.internal/")
	require.NoError(t, err)
	defer call.Close()
	require.NoError(t, call.Write([]byte("a part")))
	require.ErrorIs(t, <-result, os.ErrDeadlineExceeded)
	status, err := call.Send()
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestTimeout, status)
}

// TestDeadlinesThatAreTakenBack moves and removes deadlines while the service answers.
// The last one is still set when the service returns, and must not fire.
func TestDeadlinesThatAreTakenBack(t *testing.T) {
	c := newClient(t, Limits{}, serviceFunc(func(_ routekey.Prefix, w http.ResponseWriter, r *http.Request) error {
		rc := http.NewResponseController(w)
		for _, at := range []time.Time{time.Now().Add(10 * time.Millisecond), time.Now().Add(time.Minute), {}} {
			require.NoError(t, errors.Join(rc.SetReadDeadline(at), rc.SetWriteDeadline(at)))
		}
		time.Sleep(30 * time.Millisecond)
		_, err := io.Copy(w, r.Body)
		require.NoError(t, err)
		require.NoError(t, rc.SetWriteDeadline(time.Now().Add(10*time.Millisecond)))
		return nil
	}), "http://b.vespo.internal")
	call, err := c.exchange().Open(context.Background(), "PUT", "http://b.vespo.internal/")
	require.NoError(t, err)
	defer call.Close()
	require.NoError(t, call.Write([]byte("echo")))
	_, err = call.Send()
	require.NoError(t, err)
	time.Sleep(30 * time.Millisecond) // longer than the deadline that the service left set
	got, err := io.ReadAll(call)
	require.NoError(t, err)
	require.Equal(t, "echo", string(got))
}

// TestSmallAnswersDoNotWait checks that a service can return before its caller reads,
// and that the caller receives flushed data at once.
func TestSmallAnswersDoNotWait(t *testing.T) {
	ended, proceed := make(chan struct{}), make(chan struct{})
	c := newClient(t, Limits{}, serviceFunc(func(_ routekey.Prefix, w http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/b/stream" {
			io.WriteString(w, "one ")
			require.NoError(t, http.NewResponseController(w).Flush())
			<-proceed
			io.WriteString(w, "two")
			return nil
		}
		_, err := w.Write(bytes.Repeat([]byte("x"), streamBufferBytes))
		require.NoError(t, err)
		close(ended)
		return nil
	}), "http://b.vespo.internal")
	call, err := c.exchange().Open(context.Background(), "GET", "http://b.vespo.internal/")
	require.NoError(t, err)
	defer call.Close()
	_, err = call.Send()
	require.NoError(t, err)
	<-ended
	got, err := io.ReadAll(call)
	require.NoError(t, err)
	require.Len(t, got, streamBufferBytes)

	call, err = c.exchange().Open(context.Background(), "GET", "http://b.vespo.internal/stream")
	require.NoError(t, err)
	defer call.Close()
	_, err = call.Send()
	require.NoError(t, err)
	piece := make([]byte, 100)
	n, err := call.Read(piece)
	require.NoError(t, err)
	require.Equal(t, "one ", string(piece[:n]))
	close(proceed)
	got, err = io.ReadAll(call)
	require.NoError(t, err)
	require.Equal(t, "two", string(got))
}

// TestWhoCallsIsTold checks that requests that leave the server have CallerHeader, and others do not.
func TestWhoCallsIsTold(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get(CallerHeader)+" "+r.RequestURI)
	}))
	defer up.Close()
	c := newClient(t, Limits{}, serviceFunc(func(_ routekey.Prefix, w http.ResponseWriter, r *http.Request) error {
		io.WriteString(w, r.Header.Get(CallerHeader)+" "+r.RequestURI)
		return nil
	}), up.URL, "http://b.vespo.internal")
	for _, tt := range []struct{ uri, want string }{
		{up.URL + "/a?b c\u00e9\"", "/caller /a?b%20c%C3%A9\""}, // a quote is allowed in a request line
		{up.URL + "/a b?c=d%20e&f=+", "/caller /a%20b?c=d%20e&f=+"},
		{"http://b.vespo.internal/a?b c", " /b/a?b%20c"},
	} {
		_, got, err := roundTrip(t, c.exchange(), "GET", tt.uri)
		require.NoError(t, err)
		require.Equal(t, tt.want, got)
	}
	call, err := c.exchange().Open(context.Background(), "GET", up.URL)
	require.NoError(t, err)
	defer call.Close()
	requireCode(t, abi.OutboundInvalid, call.AddHeader(CallerHeader, "/other"))
}
