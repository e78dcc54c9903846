package budget

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 99_999, 100_000} {
		b := New(1 << 20)
		text := strings.Repeat("x", n)
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
			data, held, err := b.Read(r, 100_000)
			require.NoError(t, err)
			require.Equal(t, text, string(data))
			require.GreaterOrEqual(t, held, int64(n))
			require.Equal(t, int64(1<<20)-held, b.Left())
			b.Give(held)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	b := New(100_000)
	for _, c := range []struct {
		r     io.Reader
		limit int64
		want  error
	}{
		{bytes.NewReader(make([]byte, 5001)), 5000, ErrTooLong},
		{bytes.NewReader(make([]byte, 1)), 0, ErrTooLong},
		{bytes.NewReader(make([]byte, 200_000)), 1 << 20, ErrExhausted},
		{iotest.ErrReader(io.ErrUnexpectedEOF), 10, io.ErrUnexpectedEOF},
	} {
		data, held, err := b.Read(c.r, c.limit)
		require.ErrorIs(t, err, c.want)
		if c.want == ErrTooLong {
			require.EqualValues(t, c.limit+1, len(data), "the beginning")
		} else {
			require.Nil(t, data)
		}
		b.Give(held)
		require.Equal(t, int64(100_000), b.Left(), "what was held is given back")
	}
}

func TestTakeTogether(t *testing.T) {
	b := New(10)
	var taken sync.Map
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if b.Take(1) {
				taken.Store(i, true)
			}
		})
	}
	all.Wait()
	n := 0
	taken.Range(func(any, any) bool { n++; return true })
	require.LessOrEqual(t, n, 10)
	require.Equal(t, int64(10-n), b.Left())
}
