package client

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var errGone = errors.New("gone")

// pieces is a response that records the sizes of its writes.
type pieces struct {
	*httptest.ResponseRecorder
	sizes []int
	fail  int // number of the write that fails, from 1
}

func (p *pieces) Write(b []byte) (int, error) {
	if p.sizes = append(p.sizes, len(b)); len(p.sizes) == p.fail {
		return 0, errGone
	}
	return p.ResponseRecorder.Write(b)
}

func TestLongWritesGoInPieces(t *testing.T) {
	for size, want := range map[int][]int{0: {0}, 1: {1}, chunkBytes: {chunkBytes}, 2*chunkBytes + 5: {chunkBytes, chunkBytes, 5}} {
		to := &pieces{ResponseRecorder: httptest.NewRecorder()}
		w := NewWriter(to, httptest.NewRequest(http.MethodGet, "/", nil), context.Background())
		body := bytes.Repeat([]byte("x"), size)
		n, err := w.Write(body)
		w.Finish()
		require.NoError(t, err)
		require.Equal(t, size, n)
		require.Equal(t, want, to.sizes)
		require.Equal(t, string(body), to.Body.String())
	}
}

func TestAWriteThatFailsEnds(t *testing.T) {
	to := &pieces{ResponseRecorder: httptest.NewRecorder(), fail: 2}
	w := NewWriter(to, httptest.NewRequest(http.MethodGet, "/", nil), context.Background())
	defer w.Finish()
	n, err := w.Write(make([]byte, 3*chunkBytes))
	require.ErrorIs(t, err, errGone)
	require.Equal(t, chunkBytes, n)
	require.ErrorIs(t, w.Err(), errGone)
	require.Len(t, to.sizes, 2)
}

// writes is a response that records the write deadlines that are set.
type writes struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (w *writes) SetWriteDeadline(at time.Time) error {
	w.set = append(w.set, at)
	return nil
}

// TestCutOff checks that a deadline is set once, and only before a write that can wait for the client.
func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deadline := time.Now().Add(time.Minute)
		begin := func() (*writes, *Writer) {
			to, w := &writes{ResponseRecorder: httptest.NewRecorder()}, &Writer{}
			w.Begin(to, t.Context(), deadline)
			return to, w
		}
		to, w := begin()
		_, err := w.Write(make([]byte, bufferedBytes))
		require.NoError(t, err)
		w.Finish()
		require.Empty(t, to.set, "the server buffers a short response")

		for _, wait := range []func(*Writer){
			func(w *Writer) { _, _ = w.Write(make([]byte, bufferedBytes+1)) },
			func(w *Writer) { _, _ = w.Write(make([]byte, bufferedBytes)); _, _ = w.Write([]byte("x")) },
			(*Writer).Flush,
		} {
			to, w = begin()
			require.False(t, w.Started())
			wait(w)
			wait(w)
			require.True(t, w.Started())
			require.Equal(t, []time.Time{deadline}, to.set)
			w.Finish()
			w.Finish()
			require.Equal(t, []time.Time{deadline, {}}, to.set, "the server gets the connection back once")
		}
		require.False(t, w.Expired())
		time.Sleep(time.Minute)
		require.True(t, w.Expired())
	})
}

// TestLentWriter checks that a handler behind another one is not cut off by the deadline of the first, which gets
// the time back.
func TestLentWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deadline := time.Now().Add(time.Minute)
		to, w := &writes{ResponseRecorder: httptest.NewRecorder()}, &Writer{}
		w.Begin(to, t.Context(), deadline)
		w.Flush()
		w.Lend()
		require.Equal(t, []time.Time{deadline, {}}, to.set)
		w.Flush()
		require.Len(t, to.set, 2)
		w.Reclaim(time.Hour)
		w.Flush()
		require.Equal(t, deadline.Add(time.Hour), to.set[2])
		w.Finish()
	})
}

func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, w := &writes{ResponseRecorder: httptest.NewRecorder()}, &Writer{}
		w.BeginWithin(to, t.Context(), time.Minute)
		time.Sleep(time.Hour)
		w.WriteHeader(http.StatusEarlyHints)
		require.Empty(t, to.set, "the time counts from the response")
		w.WriteHeader(http.StatusOK)
		require.Equal(t, []time.Time{time.Now().Add(time.Minute)}, to.set)
		w.Finish()
	})
}

// TestClosing checks that the end of a deployment cuts a response off, and is the reason of the failure.
func TestClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := errors.New("stopped")
		closing, end := context.WithCancelCause(t.Context())
		to := &writes{ResponseRecorder: httptest.NewRecorder()}
		w := NewWriter(to, httptest.NewRequest(http.MethodGet, "/", nil), closing)
		_, err := w.Write([]byte("x"))
		require.NoError(t, err)
		require.Equal(t, []time.Time{time.Now().Add(Patience)}, to.set)
		end(stopped)
		synctest.Wait()
		require.Equal(t, time.Now(), to.set[1])
		require.NoError(t, w.Failure(), "it may have been sent whole")
		_ = w.noted(errGone)
		require.Equal(t, stopped, w.Failure())
		w.Finish()
		require.Len(t, to.set, 2, "the client stays cut off")
	})
}
