package recorder

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/internal/budget"
)

func TestRecorder(t *testing.T) {
	whole := budget.New(1 << 20)
	b := whole.For("a")
	w := New(b, 1000)
	w.Header().Set("A", "b")
	w.WriteHeader(103)
	w.WriteHeader(201)
	w.WriteHeader(500)
	w.Header().Set("A", "late")
	for range 10 {
		_, err := w.Write([]byte(strings.Repeat("x", 100)))
		require.NoError(t, err)
	}
	require.NoError(t, http.NewResponseController(w).Flush())
	require.Equal(t, 201, w.Status)
	require.Equal(t, "b", w.Sent.Get("A"))
	_, err := w.Write([]byte("x"))
	require.ErrorIs(t, err, ErrFull)
	require.True(t, w.Full)
	require.Equal(t, 1000, w.Body.Len())
	b.Give(w.Held)
	require.EqualValues(t, 1<<20, whole.Left())

	w = New(budget.New(10).For("a"), 1000)
	_, err = w.Write([]byte("more than is left"))
	require.ErrorIs(t, err, ErrFull)
	require.Zero(t, w.Held)
}
