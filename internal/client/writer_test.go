package client

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

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
